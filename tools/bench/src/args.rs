//! The command line, and the extent of a measurement.

use clap::{Parser, Subcommand, ValueEnum};

/// Measures what tpro costs on this machine. QUICK=0 in the environment takes more rounds.
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

    /// Messages that wait in the outbox, end to end.
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    pub messages: usize,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// A publish while the dispatcher is awake.
    Publish,
    /// A publish that wakes the dispatcher.
    Asleep,
    /// Messages a second, end to end.
    Roundtrip,
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

/// The order for the minimal dispatcher.
#[derive(Debug, clap::Args)]
pub struct Floor {
    /// The database with the tables of the floor.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// NATS.
    #[command(flatten)]
    pub nats: Nats,
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
    /// Messages that wait in the outbox.
    pub messages: usize,
    parts: Vec<Part>,
}

impl Extent {
    /// Quick (under three minutes), unless `QUICK=0`.
    pub fn chosen(args: &Args) -> Self {
        let quick = std::env::var("QUICK").map_or(true, |quick| quick != "0");
        let rounds = |few, many| args.rounds.unwrap_or(if quick { few } else { many });
        Self {
            quick,
            publish_rounds: rounds(7, 31),
            wakes: rounds(40, 300),
            roundtrip_rounds: rounds(5, 15),
            messages: args.messages,
            parts: args.parts.clone(),
        }
    }

    /// True if this part is to be measured.
    pub fn has(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }
}
