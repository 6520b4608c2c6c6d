//! `tpro-bench`: the cost of tpro, against a program without it, side by side on this machine.
//!
//! It measures the time from a commit to the reply ([`latency`]), the messages a second that go
//! from outbox rows over NATS to another process and back into reply rows ([`roundtrip`]), the cost
//! of a publish for a transaction ([`publish`], [`asleep`]), load that does not end
//! ([`continuous`]), a sidecar without load ([`idle`]), databases that have much in them
//! ([`growth`]), and other job queues that do the same job ([`peers`]). Beside each figure stands
//! that of the least program that does the same: the floor. Absolute numbers say something about
//! the machine; the ratios say something about tpro.
//!
//! It starts a PostgreSQL and a nats-server of its own, so that nothing need run and nothing of the
//! user's is touched.
#![forbid(unsafe_code)]

mod args;
mod asleep;
mod axis;
mod clone;
mod collector;
mod continuous;
mod cost;
mod cpu;
mod echo_floor;
mod facts;
mod floor;
mod grid;
mod ground;
mod growth;
mod idle;
mod inbox_floor;
mod latency;
mod line;
mod mode;
mod peers;
mod pgbench;
mod plot;
mod publish;
mod publishers;
mod report;
mod roundtrip;
mod session;
mod stand;
mod table;

// The floor has the allocator of the services, so that only the work is compared.
use tpro_sidecar as _;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;
use tpro_testkit::{Outcome, paths};

use args::{Args, Extent, Part, Task};
use facts::Facts;
use report::Report;
use stand::Stand;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.task {
        None => measure(&args).await,
        Some(Task::FloorDispatcher(floor)) => floor::run(floor).await,
        Some(Task::FloorResponder(responder)) => echo_floor::run(responder).await,
        Some(Task::InboxResponder(servers)) => inbox_floor::run(servers).await,
        Some(Task::LatencyFloor(servers)) => latency::floor::run(servers).await,
        Some(Task::PgmqConsumer(servers)) => peers::consume(servers).await,
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
async fn measure(args: &Args) -> Outcome {
    let began = Instant::now();
    let extent = Extent::chosen(args);
    let stand = Stand::start().await?;
    let facts = Facts::of(&stand, &extent).await?;
    println!("{facts}");
    // Figures of programs that are built for people and not for speed are not published unasked.
    let docs = (extent.is_whole() && facts::profile() == "measured").then(|| paths::checkout().join("docs"));
    let mut report = Report::new(facts, args.report.clone().or(docs));
    if extent.slow_flushes {
        stand.slow_flushes().await?;
    }
    parts(&stand, &extent, &mut report).await?;
    if extent.is_whole() && !extent.slow_flushes {
        stand.slow_flushes().await?;
        parts(&stand, &extent.slowed(), &mut report).await?;
    }
    report.end()?;
    println!("\nAll of it took {:.0} s.", began.elapsed().as_secs_f64());
    Ok(())
}

/// All parts that are asked for. One that fails is named at the end, and costs the figures of no
/// other.
async fn parts(stand: &Stand, extent: &Extent, report: &mut Report) -> Outcome {
    for part in Part::ALL.into_iter().filter(|part| extent.has(*part)) {
        let began = Instant::now();
        match measured(part, stand, extent, report).await {
            Ok(()) => eprintln!("{part}{}: {:.0} s", extent.suffix(), began.elapsed().as_secs_f64()),
            Err(failure) => report.fails(format!("{part}{}: {failure}", extent.suffix())),
        }
        report.write()?;
    }
    Ok(())
}

/// One part.
async fn measured(part: Part, stand: &Stand, extent: &Extent, report: &mut Report) -> Outcome {
    match part {
        Part::Peers => report.compare(peers::measure(stand, extent).await?),
        Part::Latency => {
            let (section, plots) = latency::measure(stand, extent).await?;
            report.take(section);
            plots.into_iter().for_each(|plot| report.draw(plot));
        }
        Part::Roundtrip | Part::Throughput => {
            report.take(roundtrip::measure(stand, extent, part == Part::Throughput).await?);
        }
        Part::Publish => {
            let (sections, plot) = publish::measure(stand, extent).await?;
            sections.into_iter().for_each(|section| report.take(section));
            report.draw(plot);
        }
        Part::Asleep => asleep::measure(stand, extent).await?,
        Part::Continuous => report.take(continuous::measure(stand, extent).await?),
        Part::Idle => report.take(idle::measure(stand, extent).await?),
        Part::Growth => report.take(growth::measure(stand, extent).await?),
    }
    Ok(())
}
