//! Idle: the cost of a sidecar that has nothing to do, beside the most that it may cost.

use std::fs;
use std::time::Duration;

use tokio_postgres::Client;
use tpro_testkit::postgres::connect;
use tpro_testkit::{Context as _, Outcome};

use crate::args::Extent;
use crate::cpu;
use crate::line::{Goal, Line, Section, Unit};
use crate::stand::Stand;
use crate::table::flat;

/// The time in which the work of the start ends. A backend tells its transactions up to ten seconds
/// late.
const REST: Duration = Duration::from_secs(12);
/// The most CPU time, in per cent of a core.
const CPU: f64 = 0.1;
/// The most statements in five seconds.
const STATEMENTS: f64 = 1.0;
/// The most resident memory, in MiB.
const RESIDENT: f64 = 20.0;

/// Measures.
pub async fn measure(stand: &Stand, extent: &Extent) -> Outcome<Section> {
    let database = stand.database().await?;
    let main = stand.sidecar(&database, "main")?.start().await?;
    // In another database, so that looking is not counted.
    let admin = connect(&stand.cluster.superuser_url("postgres")).await?;
    let pid = main.process().pid();
    tokio::time::sleep(REST).await;
    let seconds = extent.idle_seconds;
    let before = (cpu::of(pid), statements(&admin, database.name()).await?);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let after = (cpu::of(pid), statements(&admin, database.name()).await?);
    let resident = resident(pid)?;
    main.stop().await?;

    let span = seconds as f64;
    let spent = after.0.saturating_sub(before.0).as_secs_f64() / span * 100.0;
    let made = (after.1 - before.1) as f64 / span * 5.0;
    let line = |subject: &str, unit, most: f64, ours: f64| Line {
        subject: subject.to_owned(),
        unit,
        floor: most,
        ours,
        ratio: flat(ours / most),
        goal: Some(Goal::AtMost(1.0)),
    };
    let note = format!(
        "One sidecar that leads its service, for {seconds} s without a message; the first column is the most that it \
         may cost. CPU time in per cent of a core; transactions of the database in 5 s; resident memory in MiB."
    );
    let lines = vec![
        line("CPU time, % of a core", Unit::Plain, CPU, spent),
        line("transactions in 5 s", Unit::Plain, STATEMENTS, made),
        line("resident memory, MiB", Unit::Plain, RESIDENT, resident),
    ];
    Ok(Section { title: "An idle sidecar".to_owned(), note, lines })
}

/// Transactions of the database so far.
async fn statements(admin: &Client, database: &str) -> Outcome<i64> {
    const COUNT: &str = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = $1";
    Ok(admin.query_one(COUNT, &[&database]).await?.get(0))
}

/// Resident memory of a process, in MiB.
fn resident(pid: u32) -> Outcome<f64> {
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).context("reading the status of the sidecar")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("it has no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kib / 1024.0)
}
