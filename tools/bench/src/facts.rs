//! The machine and the versions, without which the numbers say nothing.

use std::fs;
use std::process::Command;

use tpro_testkit::Outcome;
use tpro_testkit::postgres::connect;

use crate::args::Extent;
use crate::stand::Stand;

/// Above this the machine is doing something else as well.
const BUSY: f64 = 0.5;

/// Prints them.
pub async fn print(stand: &Stand, extent: &Extent) -> Outcome {
    let admin = connect(&stand.cluster.superuser_url("postgres")).await?;
    let server: String = admin.query_one("SHOW server_version", &[]).await?.get(0);
    let cpus = std::thread::available_parallelism().map_or(0, |count| count.get());
    println!("Machine     {} ({cpus} threads), {}", field("/proc/cpuinfo", "model name"), memory());
    println!("            {}", kernel());
    println!("Versions    PostgreSQL {server} (fsync on, private cluster), {}, tpro {}", nats(), build());
    println!(
        "Settings    tpro's defaults, no collector (OTEL_EXPORTER_OTLP_ENDPOINT unset): traces are handed on, no spans made"
    );
    println!("            RUST_LOG=warn; all programs of ours with the same allocator");
    println!("Command     {}", command(extent));
    let load = load();
    if load > BUSY * cpus as f64 {
        println!(
            "            the load average is {load}: something else is running, the numbers will be low"
        );
    }
    Ok(())
}

fn command(extent: &Extent) -> String {
    let quick = if extent.quick { "QUICK=1" } else { "QUICK=0" };
    format!("{quick} {}", std::env::args().collect::<Vec<_>>().join(" "))
}

fn build() -> String {
    let checked = if cfg!(debug_assertions) { "debug assertions on" } else { "no debug assertions" };
    format!("{} (profile dev: opt-level 2, {checked})", env!("CARGO_PKG_VERSION"))
}

fn field(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_once(':'))
        .map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

fn memory() -> String {
    let kib = field("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse::<f64>().unwrap_or(f64::NAN);
    format!("{:.1} GiB of memory", kib / 1024.0 / 1024.0)
}

fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {}", release.trim())
}

fn nats() -> String {
    let version = Command::new("nats-server").arg("--version").output();
    version.map_or("nats-server".to_owned(), |out| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0)
}
