//! `tpro local`: the local installation of a checkout. Each target of its Makefile is one of these
//! commands.

use clap::Subcommand;
use tpro_local::checkout::Checkout;
use tpro_local::failure::Outcome;
use tpro_local::{cluster, environment, nats};

use crate::problem::Ending;

/// A task on the local installation.
#[derive(Debug, Subcommand)]
pub enum Local {
    /// Stop PostgreSQL; its data stays
    StopDb,
    /// Start the nats-server (NATS_PORT, NATS_MONITOR_PORT)
    UpNats,
    /// Stop the nats-server
    StopNats,
    /// Print addresses and secrets as lines for a shell to eval
    Env,
    /// A part of a command that is still a script
    #[command(hide = true)]
    Part {
        /// The part
        part: Part,
    },
}

/// A part that scripts need.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Part {
    /// PostgreSQL runs
    Cluster,
    /// The running nats-server knows the users that there are
    NatsUsers,
    /// .local/env is written
    Env,
}

/// Does a task. Its error is told here.
pub fn run(task: &Local) -> Ending {
    let checkout = match Checkout::here() {
        Ok(checkout) => checkout,
        Err(failure) => {
            crate::paper::complain(&format!("error: {failure}\n"));
            return Ending::Ill;
        }
    };
    match done(&checkout, task) {
        Ok(()) => Ending::Well,
        Err(failure) => {
            checkout.screen.error(failure.to_string());
            Ending::Ill
        }
    }
}

fn done(checkout: &Checkout, task: &Local) -> Outcome {
    match task {
        Local::StopDb => cluster::stop(checkout),
        Local::UpNats => nats::up(checkout),
        Local::StopNats => nats::stop(checkout),
        Local::Env => environment::print(checkout),
        Local::Part { part: Part::Cluster } => cluster::up(checkout),
        Local::Part { part: Part::NatsUsers } => nats::follow_users(checkout),
        Local::Part { part: Part::Env } => environment::save(checkout),
    }
}
