//! `tpro local`: the local installation of a checkout. Each target of its Makefile is one of these
//! commands.

use clap::{Args, Subcommand};
use tpro_local::checkout::Checkout;
use tpro_local::failure::Outcome;
use tpro_local::service_settings::{self, Told};
use tpro_local::{
    all, checks, clean, cluster, console, crates, demo, down_all, environment, extension, faults,
    install_extension, jaeger, load, nats, new_service, roll, schema, service, status, test,
};

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
    /// Start a copy of a service and what it needs, or all services (COPY_NUMBER)
    Up(Maybe),
    /// Stop a service and forget its ports, or stop everything (COPY_NUMBER)
    Down(Maybe),
    /// Stop a service gracefully (COPY_NUMBER)
    Stop(Named),
    /// Replace a service by release SERVICE_VERSION without a pause (REBUILD)
    Roll(Named),
    /// Remove all that was built and made for a service but its source (FORCE)
    DownAll(Named),
    /// Make and drop partitions of a service, once and now
    Maintain(Named),
    /// Follow the log of a service (COPY_NUMBER)
    Logs(Named),
    /// Make a new service: crate from the template, .env, schema
    Create(Named),
    /// Make the .env of a service, unless it is there
    CreateEnv(Named),
    /// Make schema and login role of a service in the local database
    CreateSql(Named),
    /// Print what runs, and where
    Status,
    /// From nothing to a message that went round (CASES=only: just the cases)
    Demo,
    /// Stop everything and remove the cluster, .local and logs
    Clean,
    /// Run all tests, on real servers of their own
    Test,
    /// Run the slow tests, with their figures (FILTER)
    Faults,
    /// Run fmt, clippy, doc, deny, shellcheck and pgspot
    Check,
    /// Print the crates, which needs which, and circles among their modules
    Crates,
    /// Measure the cost of a publish, and messages a second end to end
    Bench,
    /// Load under random faults, and a look if the promise was kept (SECONDS, SEED)
    Chaos,
    /// Run the real cores on simulated servers, under random faults (SECONDS, SEED)
    Simulate,
    /// Load without faults, and a look if anything grows (SECONDS, SEED)
    Soak,
}

/// A service.
#[derive(Debug, Args)]
pub struct Named {
    /// Service
    pub name: String,
}

/// A service, or all of them.
#[derive(Debug, Args)]
pub struct Maybe {
    /// Service; all without it
    pub name: Option<String>,
}

/// Does a task. Its error is told here.
pub fn run(task: &Local) -> Ending {
    let mut checkout = match Checkout::here() {
        Ok(checkout) => checkout,
        Err(failure) => {
            crate::paper::complain(&format!("error: {failure}\n"));
            return Ending::Ill;
        }
    };
    match done(&mut checkout, task) {
        Ok(()) => Ending::Well,
        Err(failure) => {
            checkout.screen.error(plain(&failure.to_string()));
            Ending::Ill
        }
    }
}

fn done(checkout: &mut Checkout, task: &Local) -> Outcome {
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
        Local::Up(Maybe { name: Some(name) }) => service::up(checkout, name),
        Local::Up(Maybe { name: None }) => all::up(checkout),
        Local::Down(Maybe { name: Some(name) }) => service::down(checkout, name),
        Local::Down(Maybe { name: None }) => all::down(checkout),
        Local::Stop(Named { name }) => service::stop(checkout, name),
        Local::Roll(Named { name }) => roll::run(checkout, name),
        Local::DownAll(Named { name }) => down_all::run(checkout, name),
        Local::Maintain(Named { name }) => service::maintain(checkout, name),
        Local::Logs(Named { name }) => service::logs(checkout, name),
        Local::Create(Named { name }) => new_service::create(checkout, name),
        Local::CreateEnv(Named { name }) => service_settings::write(checkout, name, Told::Yes),
        Local::CreateSql(Named { name }) => schema::make(checkout, name, Told::Yes),
        Local::Status => status::print(checkout),
        Local::Demo => demo::run(checkout),
        Local::Clean => clean::run(checkout),
        Local::Test => test::all(checkout),
        Local::Faults => faults::run(checkout),
        Local::Check => checks::run(checkout),
        Local::Crates => crates::print(checkout),
        Local::Bench => load::bench(checkout),
        Local::Chaos => load::chaos(checkout),
        Local::Simulate => load::simulate(checkout),
        Local::Soak => load::soak(checkout),
    }
}
