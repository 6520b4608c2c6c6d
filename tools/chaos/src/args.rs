//! The command line.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args as Arguments, Parser, Subcommand};

/// Load of every shape on real services, under faults or for long.
#[derive(Debug, Parser)]
#[command(name = "tpro-chaos")]
pub struct Args {
    /// The task.
    #[command(subcommand)]
    pub task: Task,
}

/// The task.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Load under rotating random faults, then the question if the promise was kept.
    Run(Run),
    /// Only print the faults of a seed.
    Plan(Extent),
    /// Load without faults, then the question if anything grows.
    Soak(Run),
}

/// The length and the seed of a run.
#[derive(Clone, Debug, Arguments)]
pub struct Extent {
    /// Seconds that the load lasts; draining and the oracle come after.
    #[arg(long, value_name = "N", default_value_t = 600, value_parser = clap::value_parser!(u64).range(10..=1_000_000))]
    pub seconds: u64,

    /// The seed from which all random choices follow; without it, the time.
    #[arg(long, value_name = "N", default_value_t = by_time())]
    pub seed: u64,
}

/// A run.
#[derive(Clone, Debug, Arguments)]
pub struct Run {
    /// The length and the seed.
    #[command(flatten)]
    pub extent: Extent,

    /// Sessions that publish at the same time.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub publishers: u64,

    /// The folder for the logs of a run that failed.
    #[arg(long, value_name = "FOLDER", default_value = "logs")]
    pub logs: PathBuf,

    /// Keep the logs of a run that did not fail, too.
    #[arg(long)]
    pub keep: bool,
}

/// Short enough to be typed again.
fn by_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_millis() as u64 % 1_000_000)
}
