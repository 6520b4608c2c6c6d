//! `tpro local`: the local installation of a checkout. Each target of its Makefile is one of these
//! commands.

use clap::Subcommand;
use tpro_local::checkout::Checkout;
use tpro_local::failure::Outcome;
use tpro_local::{cluster, console, environment, extension, install_extension, jaeger, nats};

use crate::plain::plain;
use crate::problem::Ending;

/// A task on the local installation.
#[derive(Debug, Subcommand)]
pub enum Local {
    /// Start the private PostgreSQL with the extension (PG_PORT)
    UpDb,
    /// Stop PostgreSQL; its data stays
    StopDb,
    /// Start the nats-server (NATS_PORT, NATS_MONITOR_PORT)
    UpNats,
    /// Stop the nats-server
    StopNats,
    /// Start the trace viewer (JAEGER_PORT, OTLP_PORT)
    UpJaeger,
    /// Stop the trace viewer; its traces are gone
    StopJaeger,
    /// Put the extension into a PostgreSQL of your own (PG_CONFIG)
    InstallExtension,
    /// SQL as service main (AS=postgres: as the local superuser)
    Psql,
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
    /// The extension is built, and in the local database
    Extension,
    /// A build of this release of the extension is in the local database
    ExtensionOfRelease,
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
            checkout.screen.error(plain(&failure.to_string()));
            Ending::Ill
        }
    }
}

fn done(checkout: &Checkout, task: &Local) -> Outcome {
    match task {
        Local::UpDb => cluster::up(checkout).and_then(|()| extension::up(checkout)),
        Local::StopDb => cluster::stop(checkout),
        Local::UpNats => nats::up(checkout),
        Local::StopNats => nats::stop(checkout),
        Local::UpJaeger => jaeger::up(checkout),
        Local::StopJaeger => jaeger::stop(checkout),
        Local::InstallExtension => install_extension::install(checkout),
        Local::Psql => console::open(checkout),
        Local::Env => environment::print(checkout),
        Local::Part { part: Part::Cluster } => cluster::up(checkout),
        Local::Part { part: Part::Extension } => extension::up(checkout),
        Local::Part { part: Part::ExtensionOfRelease } => extension::need(checkout),
        Local::Part { part: Part::NatsUsers } => nats::follow_users(checkout),
        Local::Part { part: Part::Env } => environment::save(checkout),
    }
}
