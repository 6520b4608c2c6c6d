//! The machine and the versions, without which the numbers say nothing.

use std::fmt;
use std::fs;
use std::process::Command;

use tpro_testkit::Outcome;
use tpro_testkit::postgres::connect;

use crate::args::{Extent, Part};
use crate::stand::{SETTINGS, Stand};

/// Above this the machine is doing something else as well.
const BUSY: f64 = 0.5;

/// The facts, each with its name.
pub struct Facts(Vec<(&'static str, String)>);

impl Facts {
    /// Asks for them.
    pub async fn of(stand: &Stand, extent: &Extent) -> Outcome<Self> {
        let admin = connect(&stand.cluster.superuser_url("postgres")).await?;
        let server: String = admin.query_one("SHOW server_version", &[]).await?.get(0);
        let cpus = std::thread::available_parallelism().map_or(0, |count| count.get());
        let settings: Vec<String> = SETTINGS.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut facts = vec![
            ("Machine", format!("{} ({cpus} threads), {}, {}", field("/proc/cpuinfo", "model name"), memory(), kernel())),
            ("Versions", format!("PostgreSQL {server}, {}, tpro {}", nats(), build())),
            ("PostgreSQL", format!("a private cluster; {}", settings.join(", "))),
            (
                "tpro",
                "its defaults; no collector (OTEL_EXPORTER_OTLP_ENDPOINT unset) where nothing else is said: traces \
                 are handed on, no spans made; RUST_LOG=warn; all programs of ours with the same allocator"
                    .to_owned(),
            ),
            ("Command", command(extent)),
        ];
        let load = load();
        if load > BUSY * cpus as f64 {
            facts.push(("Load", format!("{load}: something else is running, the numbers will be low")));
        }
        Ok(Self(facts))
    }

    /// A line of a list for each.
    pub fn markdown(&self) -> String {
        self.0.iter().map(|(name, fact)| format!("- {name}: {fact}\n")).collect()
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(|(name, fact)| format!("{name:<11} {fact}")).collect();
        write!(out, "{}", lines.join("\n"))
    }
}

/// As it is given to the shell, without the folder of the program.
fn command(extent: &Extent) -> String {
    let quick = if extent.quick { "QUICK=1 " } else { "" };
    let peers = if extent.has(Part::Peers) { "PEERS=1 " } else { "" };
    let arguments: Vec<String> = std::env::args().skip(1).map(|argument| format!(" {argument}")).collect();
    format!("{quick}{peers}tpro-bench{} (make bench)", arguments.concat())
}

/// The profile by which this program was built: the name of its folder.
pub fn profile() -> String {
    let program = std::env::current_exe().unwrap_or_default();
    match program.parent().and_then(|folder| folder.file_name()).and_then(|name| name.to_str()) {
        Some("debug") => "dev".to_owned(),
        Some(name) => name.to_owned(),
        None => "unknown".to_owned(),
    }
}

fn build() -> String {
    format!("{} (profile {})", env!("CARGO_PKG_VERSION"), profile())
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
