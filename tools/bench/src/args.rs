//! The command line, and the extent of a measurement.

use std::fmt;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Messages that wait in the outbox, if nothing else is said.
const MESSAGES: usize = 200_000;
/// In a quick run.
const FEW_MESSAGES: usize = 60_000;

/// Measures what tpro costs on this machine, each figure beside that of the least program that does
/// the same. QUICK=1 in the environment takes few rounds, PEERS=1 measures other job queues, too.
#[derive(Debug, Parser)]
#[command(name = "tpro-bench", args_conflicts_with_subcommands = true)]
pub struct Args {
    /// Parts that the benchmark runs as processes of their own.
    #[command(subcommand)]
    pub task: Option<Task>,

    /// Measure only this part; may be given several times.
    #[arg(long = "part", value_enum)]
    pub parts: Vec<Part>,

    /// Rounds of each pair.
    #[arg(long, value_name = "N")]
    pub rounds: Option<usize>,

    /// Messages that wait in the outbox, end to end (200,000; in a quick run 60,000).
    #[arg(long, value_name = "N")]
    pub messages: Option<usize>,

    /// Slow every flush of the server to 2 ms, as a disk without a cache does. A whole run measures
    /// both.
    #[arg(long)]
    pub slow_flushes: bool,

    /// Write benchmarks.md and its plots into this folder. A whole run of the profile `measured`
    /// writes into docs/.
    #[arg(long, value_name = "FOLDER")]
    pub report: Option<PathBuf>,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// A publish while the dispatcher is awake, and while none runs.
    Publish,
    /// A publish that wakes the dispatcher.
    Asleep,
    /// Messages a second, end to end, without the inbox.
    Roundtrip,
    /// Messages a second, end to end, in every mode and with every message traced.
    Throughput,
    /// The time from a commit to the reply.
    Latency,
    /// Messages that are published and settled at the same time.
    Continuous,
    /// A sidecar that has nothing to do.
    Idle,
    /// Latency and throughput where much is in the database. A quick run measures it only if it is
    /// asked for.
    Growth,
    /// Other job queues in PostgreSQL that do the job. Without PEERS=1 they are measured only if
    /// they are asked for.
    Peers,
}

impl Part {
    /// All, in the order in which they are measured. Peers are first, so that one that breaks costs
    /// no time of ours.
    pub const ALL: [Self; 9] = [
        Self::Peers,
        Self::Latency,
        Self::Roundtrip,
        Self::Throughput,
        Self::Publish,
        Self::Asleep,
        Self::Continuous,
        Self::Idle,
        Self::Growth,
    ];
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        out.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// A part of the benchmark in a process of its own.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// The minimal dispatcher, as a process of the benchmark.
    #[command(hide = true)]
    FloorDispatcher(Floor),
    /// The responder that the minimal dispatcher asks.
    #[command(hide = true)]
    FloorResponder(Nats),
    /// The responder that keeps an inbox.
    #[command(hide = true)]
    InboxResponder(Servers),
    /// The shortest program that is notified, asks and inserts the reply.
    #[command(hide = true)]
    LatencyFloor(Servers),
    /// A consumer of pgmq.
    #[command(hide = true)]
    PgmqConsumer(Servers),
}

/// The address of NATS. It comes by the environment, since everybody can read arguments.
#[derive(Debug, clap::Args)]
pub struct Nats {
    /// Address.
    #[arg(long, env = "NATS_URL", hide_env_values = true)]
    pub nats_url: String,
    /// Token.
    #[arg(long, env = "NATS_TOKEN", hide_env_values = true)]
    pub nats_token: String,
}

/// The servers of a floor.
#[derive(Debug, clap::Args)]
pub struct Servers {
    /// The database with the tables of the floor.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// NATS.
    #[command(flatten)]
    pub nats: Nats,
}

/// The order for the minimal dispatcher.
#[derive(Debug, clap::Args)]
pub struct Floor {
    /// Where it works.
    #[command(flatten)]
    pub servers: Servers,
    /// The number of messages.
    #[arg(long)]
    pub messages: usize,
}

/// The extent of a measurement.
pub struct Extent {
    /// True for the quick one.
    pub quick: bool,
    /// Rounds of each pair in the publish part, a second each.
    pub publish_rounds: usize,
    /// Single publishes that wake a sleeper.
    pub wakes: usize,
    /// Rounds of each pair end to end.
    pub roundtrip_rounds: usize,
    /// Rounds of all ways and patterns of arrivals.
    pub latency_rounds: usize,
    /// Seconds of continuous load.
    pub continuous_seconds: u64,
    /// Seconds without a message.
    pub idle_seconds: u64,
    /// Rounds in a database that has grown.
    pub growth_rounds: usize,
    /// Rounds of all peers.
    pub peer_rounds: usize,
    /// Messages that wait in the outbox.
    pub messages: usize,
    /// True if every flush of the server takes 2 ms.
    pub slow_flushes: bool,
    peers: bool,
    parts: Vec<Part>,
    /// True if somebody has chosen fewer rounds or messages, or slow flushes only.
    is_cut: bool,
}

impl Extent {
    /// Whole (under forty minutes), unless `QUICK=1` (under three).
    pub fn chosen(args: &Args) -> Self {
        let is_on = |name| std::env::var(name).is_ok_and(|value| !["", "0"].contains(&value.as_str()));
        let quick = is_on("QUICK");
        let rounds = |few, many| args.rounds.unwrap_or(if quick { few } else { many });
        Self {
            quick,
            publish_rounds: rounds(2, 9),
            wakes: rounds(40, 300),
            roundtrip_rounds: rounds(2, 7),
            latency_rounds: rounds(3, 6),
            continuous_seconds: if quick { 8 } else { 30 },
            idle_seconds: if quick { 10 } else { 30 },
            growth_rounds: rounds(2, 3),
            peer_rounds: rounds(2, 6),
            messages: args.messages.unwrap_or(if quick { FEW_MESSAGES } else { MESSAGES }),
            slow_flushes: args.slow_flushes,
            peers: is_on("PEERS"),
            parts: args.parts.clone(),
            is_cut: args.rounds.is_some() || args.messages.is_some() || args.slow_flushes,
        }
    }

    /// The measures that are taken again while every flush takes 2 ms, in few rounds.
    pub fn slowed(&self) -> Self {
        Self {
            quick: true,
            publish_rounds: self.publish_rounds.min(3),
            roundtrip_rounds: self.roundtrip_rounds.min(2),
            latency_rounds: self.latency_rounds.min(2),
            messages: self.messages.min(FEW_MESSAGES),
            slow_flushes: true,
            parts: vec![Part::Latency, Part::Throughput, Part::Publish],
            ..*self
        }
    }

    /// The end of a title.
    pub fn suffix(&self) -> &'static str {
        if self.slow_flushes { ", every flush slowed to 2 ms" } else { "" }
    }

    /// True if this part is to be measured.
    pub fn has(&self, part: Part) -> bool {
        let is_left_out = match part {
            Part::Growth => self.quick,
            Part::Peers => !self.peers,
            // It is the first line of the throughput.
            Part::Roundtrip => true,
            _ => false,
        };
        self.parts.is_empty() && !is_left_out || self.parts.contains(&part)
    }

    /// True if nothing is left out.
    pub fn is_whole(&self) -> bool {
        !self.quick && self.parts.is_empty() && !self.is_cut
    }
}
