//! `tpro-chaos`: is the promise kept under any fault, and does nothing grow?
//!
//! Sessions publish in transactions of all shapes ([`shape`]) messages of all kinds ([`traffic`]),
//! and keep a ledger ([`ledger`]) of the commits. Two copies of each service ([`fleet`]) handle
//! them. Meanwhile a schedule of faults ([`schedule`]), which follows from the seed, is carried out
//! ([`nemesis`]). Then everything is repaired, the messages under way are settled, and the oracle
//! ([`oracle`]) holds tables, ledger and effects against each other. The other task is this load
//! without faults ([`soak`]): after a flood ([`flood`]) it looks at memory, files and tasks
//! ([`gauge`]), and a rule says if they grow ([`growth`]).
//!
//! It starts servers of its own on free ports, and ends all it has started, also on Ctrl-C.
#![forbid(unsafe_code)]

mod act;
mod args;
mod fleet;
mod flood;
mod gauge;
mod growth;
mod ledger;
mod nemesis;
mod operator;
mod oracle;
mod outside;
mod publisher;
mod random;
mod run;
mod schedule;
mod shape;
mod slope;
mod soak;
mod stand;
mod takeover;
mod traffic;

use std::process::ExitCode;

use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};
use tpro_testkit::Outcome;

use args::{Args, Extent, Task};

#[tokio::main]
async fn main() -> ExitCode {
    let done = tokio::select! {
        done = work(Args::parse().task) => done,
        name = interrupted() => {
            eprintln!("tpro-chaos: {name}; everything it has started ends");
            return ExitCode::from(130);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("tpro-chaos: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the task. True if all was as it should be.
async fn work(task: Task) -> Outcome<bool> {
    match task {
        Task::Run(run) => run::run(&run).await,
        Task::Soak(run) => soak::run(&run).await,
        Task::Plan(extent) => {
            plan(&extent);
            Ok(true)
        }
    }
}

/// Prints the faults of a seed.
fn plan(extent: &Extent) {
    for (number, round) in schedule::rounds(extent.seed, extent.seconds).iter().enumerate() {
        println!("round {}: {:?}, quiet from {:.0} s", number + 1, round.mix, round.quiet.as_secs_f64());
        for act in &round.acts {
            println!("  {act}");
        }
    }
}

async fn interrupted() -> &'static str {
    // Without a handler the signal ends the process, and the watchers of the test kit tidy up.
    let (Ok(mut int), Ok(mut term)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = int.recv() => "SIGINT",
        _ = term.recv() => "SIGTERM",
    }
}
