//! `tpro-demo`: eight statements in SQL as the user `main`, and the result of each.
//!
//! It has checked everything that it says: answers are computed again from the database's clock,
//! traces are read back from the viewer, and the wire is watched while a publish is rolled back. It
//! ends with 1 when a case is not as expected, and names the case.
#![forbid(unsafe_code)]

mod cases;
mod database;
mod ending;
mod environment;
mod paper;
mod statements;
mod trace;
mod verdict;
mod viewer;
mod wire;

use std::process::ExitCode;

use cases::Demo;
use clap::Parser as _;
use database::Database;
use environment::Environment;
use paper::Paper;
use viewer::Viewer;
use wire::Wire;

/// Runs the eight cases of the demo against what `make up` started. Addresses come from the
/// environment: see `make env`.
#[derive(Debug, clap::Parser)]
#[command(name = "tpro-demo")]
struct Args {}

#[tokio::main]
async fn main() -> ExitCode {
    Args::parse();
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("tpro-demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the cases. True if all was as expected; an error when it could not even begin.
async fn run() -> Result<bool, String> {
    let environment = Environment::read()?;
    let paper = Paper::new();
    let database = Database::connect(&environment.database_url).await.map_err(|error| error.to_string())?;
    let wire = Wire::connect(&environment).await;
    let viewer = environment.jaeger_url.as_deref().map(Viewer::new);

    let mut demo =
        Demo { paper: &paper, database: &database, wire: &wire, viewer: viewer.as_ref(), failed: vec![] };
    demo.cases().await;
    let failed = demo.failed;

    ending::print(&paper, &environment, &failed);
    Ok(failed.is_empty())
}
