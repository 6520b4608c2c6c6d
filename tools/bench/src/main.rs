//! `tpro-bench`: the cost of tpro, against a program without it, side by side on this machine.
//!
//! It answers two questions. The first is the cost of a publish for a transaction: the INSERT into
//! `mq_publish`, against an INSERT into a clone of that table without the trigger ([`publish`],
//! [`asleep`]). The second is the number of messages a second that go from outbox rows over NATS to
//! another process and back into reply rows, against the least program that does that
//! ([`roundtrip`], [`floor`]). Absolute numbers say something about the machine; the ratios say
//! something about tpro.
//!
//! It starts a PostgreSQL and a nats-server of its own, so that nothing need run and nothing of the
//! user's is touched.
#![forbid(unsafe_code)]

mod args;
mod asleep;
mod cpu;
mod echo_floor;
mod facts;
mod floor;
mod pgbench;
mod publish;
mod roundtrip;
mod stand;
mod table;

// The floor has the allocator of the services, so that only the work is compared.
use tpro_sidecar as _;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;
use tpro_testkit::Outcome;

use args::{Args, Extent, Part, Task};
use stand::Stand;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let extent = Extent::chosen(&args);
    let result = match args.task {
        None => measure(&extent).await,
        Some(Task::FloorDispatcher(floor)) => floor::run(floor).await,
        Some(Task::FloorResponder(responder)) => echo_floor::run(responder).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("tpro-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The whole benchmark, part by part.
async fn measure(extent: &Extent) -> Outcome {
    let began = Instant::now();
    let stand = Stand::start().await?;
    facts::print(&stand, extent).await?;
    if extent.has(Part::Publish) {
        publish::measure(&stand, extent).await?;
    }
    if extent.has(Part::Asleep) {
        asleep::measure(&stand, extent).await?;
    }
    if extent.has(Part::Roundtrip) {
        roundtrip::measure(&stand, extent).await?;
    }
    println!("\nAll of it took {:.0} s.", began.elapsed().as_secs_f64());
    Ok(())
}
