//! `tpro local`: the local installation of a checkout. Each target of its Makefile is one of these
//! commands.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde::Serialize;
use tpro_local::checkout::Checkout;
use tpro_local::failure::{Failure, Outcome, fail};
use tpro_local::runtime::Runtime;
use tpro_local::service_settings::{self, Told};
use tpro_local::{
    all, bridge, checks, clean, cluster, console, crates, demo, dev, docker, down_all, environment,
    extension, faults, install_extension, jaeger, load, nats, new_service, schema, service, status, test,
    test_postgres,
};

use crate::paper;
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
    /// Start the trace viewer (JAEGER_PORT, OTLP_PORT, BIND)
    UpJaeger,
    /// Stop the trace viewer; its traces are gone
    StopJaeger,
    /// Start the bridge to the NATS of the Go system (COPY_NUMBER)
    UpBridge,
    /// Stop the bridge; it finishes what it has (COPY_NUMBER)
    StopBridge,
    /// Put the extension into a PostgreSQL of your own (PG_CONFIG)
    InstallExtension,
    /// SQL as service main (AS=postgres: as the local superuser)
    Psql,
    /// Print addresses and secrets as lines for a shell to eval
    Env(Shape),
    /// Start a copy of a service and what it needs, or all services (COPY_NUMBER)
    Up(Maybe),
    /// Stop a service and forget its ports, or stop everything (COPY_NUMBER)
    Down(Maybe),
    /// Stop a service gracefully (COPY_NUMBER)
    Stop(Named),
    /// Replace a service by release SERVICE_VERSION without a pause (REBUILD)
    Roll(Named),
    /// Build and roll a service each time that one of its sources is saved
    Dev(Named),
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
    Status(Shape),
    /// From nothing to a message that went round (CASES=only: just the cases)
    Demo,
    /// Stop everything and remove the cluster, .local and logs
    Clean,
    /// Run all tests, on real servers of their own
    Test,
    /// Run the slow tests, with their figures (FILTER)
    Faults,
    /// Run the tests of the extension on another PostgreSQL (PG, FILTER, SECONDS)
    TestPostgres,
    /// Run fmt, clippy, doc, deny, shellcheck and pgspot
    Check,
    /// Build all images for RUNTIME=docker
    Images,
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

/// The shape of the output.
#[derive(Debug, Args)]
pub struct Shape {
    /// Print JSON; its shape is in docs/tpro.md
    #[arg(long)]
    pub json: bool,
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
            paper::complain(&format!("error: {failure}\n"));
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
    match (checkout.runtime, in_containers(task)) {
        (Runtime::Docker, Some(run)) => {
            docker::opening::check(checkout)?;
            run(checkout)
        }
        _ => natively(checkout, task),
    }
}

/// A task on containers.
type Run<'a> = Box<dyn FnOnce(&mut Checkout) -> Outcome + 'a>;

/// The way in which a task is done with RUNTIME=docker; none if it is the same for all.
fn in_containers(task: &Local) -> Option<Run<'_>> {
    Some(match task {
        Local::UpDb => Box::new(|it| docker::postgres::up(it, true).and_then(|()| docker::extension::up(it))),
        Local::StopDb => Box::new(|it| docker::postgres::stop(it)),
        Local::UpNats => Box::new(|it| docker::nats::up(it, false)),
        Local::StopNats => Box::new(|it| docker::nats::stop(it)),
        Local::UpJaeger => Box::new(|it| docker::jaeger::up(it, false)),
        Local::StopJaeger => Box::new(|it| docker::jaeger::stop(it)),
        Local::Psql => Box::new(|it| docker::console::open(it)),
        Local::Env(Shape { json: true }) => Box::new(|it| print_env(docker::environment::variables(it)?)),
        Local::Env(Shape { json: false }) => Box::new(|it| docker::environment::print(it)),
        Local::Up(Maybe { name: Some(name) }) => Box::new(|it| docker::service::up(it, name)),
        Local::Up(Maybe { name: None }) => Box::new(docker::all::up),
        Local::Down(Maybe { name: Some(name) }) => Box::new(|it| docker::service::down(it, name)),
        Local::Down(Maybe { name: None }) => Box::new(|it| docker::all::down(it)),
        Local::Stop(Named { name }) => Box::new(|it| docker::service::stop(it, name)),
        Local::Roll(Named { name }) => Box::new(|it| docker::service::roll(it, name)),
        Local::Dev(_) => Box::new(|_| {
            fail("make dev is for what runs without containers: leave RUNTIME out, or use make roll-NAME")
        }),
        Local::DownAll(Named { name }) if name == "jaeger" => Box::new(|it| docker::jaeger::down_all(it)),
        Local::DownAll(Named { name }) => Box::new(|it| docker::remove::down_all(it, name)),
        Local::Maintain(Named { name }) => Box::new(|it| docker::service::maintain(it, name)),
        Local::Logs(Named { name }) => Box::new(|it| docker::service::logs(it, name)),
        Local::Create(Named { name }) => Box::new(|it| docker::new_service::create(it, name)),
        Local::CreateEnv(Named { name }) => {
            Box::new(|it| service_settings::create(it, name, Told::Yes).map(|_| ()))
        }
        Local::CreateSql(Named { name }) => Box::new(|it| docker::new_service::create_sql(it, name)),
        Local::Status(Shape { json: true }) => Box::new(|it| print_json(&docker::status::look(it)?)),
        Local::Status(Shape { json: false }) => Box::new(|it| docker::status::print(it)),
        Local::Demo => Box::new(docker::demo::run),
        Local::Clean => Box::new(|it| docker::remove::clean(it)),
        Local::Images => Box::new(docker::all::images),
        _ => return None,
    })
}

fn natively(checkout: &mut Checkout, task: &Local) -> Outcome {
    match task {
        Local::UpDb => cluster::up(checkout).and_then(|()| extension::up(checkout)),
        Local::StopDb => cluster::stop(checkout),
        Local::UpNats => nats::up(checkout),
        Local::StopNats => nats::stop(checkout),
        Local::UpJaeger => jaeger::up(checkout),
        Local::StopJaeger => jaeger::stop(checkout),
        Local::UpBridge => bridge::up(checkout),
        Local::StopBridge => bridge::stop(checkout),
        Local::InstallExtension => install_extension::install(checkout),
        Local::Psql => console::open(checkout),
        Local::Env(Shape { json: true }) => print_env(environment::variables(checkout)?),
        Local::Env(Shape { json: false }) => environment::print(checkout),
        Local::Up(Maybe { name: Some(name) }) => service::up(checkout, name),
        Local::Up(Maybe { name: None }) => all::up(checkout),
        Local::Down(Maybe { name: Some(name) }) => service::down(checkout, name),
        Local::Down(Maybe { name: None }) => all::down(checkout),
        Local::Stop(Named { name }) => service::stop(checkout, name),
        Local::Roll(Named { name }) => service::roll(checkout, name),
        Local::Dev(Named { name }) => dev::run(checkout, name),
        Local::DownAll(Named { name }) if name == "jaeger" => jaeger::down_all(checkout),
        Local::DownAll(Named { name }) => down_all::run(checkout, name),
        Local::Maintain(Named { name }) => service::maintain(checkout, name),
        Local::Logs(Named { name }) => service::logs(checkout, name),
        Local::Create(Named { name }) => new_service::create(checkout, name),
        Local::CreateEnv(Named { name }) => service_settings::write(checkout, name, Told::Yes),
        Local::CreateSql(Named { name }) => schema::make(checkout, name, Told::Yes),
        Local::Status(Shape { json: true }) => print_json(&status::look(checkout)),
        Local::Status(Shape { json: false }) => {
            status::print(checkout);
            Ok(())
        }
        Local::Demo => demo::run(checkout),
        Local::Clean => clean::run(checkout),
        Local::Test => test::all(checkout),
        Local::Faults => faults::run(checkout),
        Local::TestPostgres => test_postgres::run(checkout),
        Local::Check => checks::run(checkout),
        Local::Images => fail("images are for containers: make images RUNTIME=docker"),
        Local::Crates => crates::print(checkout),
        Local::Bench => load::bench(checkout),
        Local::Chaos => load::chaos(checkout),
        Local::Simulate => load::simulate(checkout),
        Local::Soak => load::soak(checkout),
    }
}

/// Prints names and values as a document of JSON.
fn print_env(variables: Vec<(String, String)>) -> Outcome {
    print_json(&variables.into_iter().collect::<BTreeMap<_, _>>())
}

fn print_json(document: &impl Serialize) -> Outcome {
    match paper::print_json(document) {
        Ok(_) => Ok(()),
        Err(problem) => Err(Failure::new(problem.to_string())),
    }
}
