//! Logs to stdout and to a rotating file.
//!
//! A line is formatted in the task that logs, and handed to a thread for each sink, so that no work
//! waits for a terminal or a disk. A line that a sink does not take in time is dropped, counted,
//! and mentioned once on stderr.
//!
//! Only `tracing` is heard, not the `log` crate: tokio-postgres tells `log` the parameters of every
//! statement, which are bodies.

mod counts;
mod file;
mod sink;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;
use tracing_subscriber::{
    EnvFilter,
    fmt::{
        MakeWriter,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
};

pub use self::counts::LineCounts;
use self::{file::RollingFile, sink::Sink};
use crate::{
    config::{Config, Format},
    telemetry,
};

/// Events of other crates that are left out unless `RUST_LOG` names the crate. The pool reports by
/// errors, which are logged where they are handled; the rest is gRPC's own chatter.
const QUIET: &[(&str, &str)] = &[
    ("deadpool.postgres", "off"),
    ("opentelemetry", "off"),
    ("h2", "warn"),
    ("hyper", "warn"),
    ("hyper_util", "warn"),
    ("tonic", "warn"),
    ("tower", "warn"),
];

/// The longest time that the end of the process waits for the last lines.
const LAST_LINES: Duration = Duration::from_millis(500);

/// The running log.
#[derive(Clone)]
pub struct Log {
    sinks: Arc<[Sink]>,
    /// Set when the file is to be opened again; the file's own thread does it with the next lines.
    again: Arc<AtomicBool>,
}

/// Has the log file opened again each time that `hangup` rings. A program that moves the file need
/// not ring: the next line sees that the file is another one, or gone.
pub async fn reopen_when_told(hangup: Arc<Notify>, log: Log) {
    loop {
        hangup.notified().await;
        log.again.store(true, Ordering::Relaxed);
        // So that there is a next line.
        tracing::info!("SIGHUP: the log file is opened again");
    }
}

/// The time in the form of the log's lines: `2026-01-30T12:00:00.123456Z`.
pub fn now() -> String {
    let mut text = String::new();
    // Writing into a String does not fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

/// Starts logging, for the whole process.
pub fn start(config: &Config, counts: &LineCounts) -> Log {
    let again = Arc::new(AtomicBool::new(false));
    let mut sinks = vec![Sink::start("stdout", counts, |lines: &[u8]| {
        use io::Write as _;
        let mut stdout = io::stdout().lock();
        stdout.write_all(lines).and_then(|()| stdout.flush())
    })];
    if let Some(path) = &config.log_file {
        let mut file = RollingFile::new(path.clone(), &config.log);
        let again = again.clone();
        sinks.push(Sink::start("file", counts, move |lines: &[u8]| {
            if again.swap(false, Ordering::Relaxed) {
                file.close();
            }
            file.write(lines)
        }));
    }
    let log = Log { sinks: sinks.into(), again };
    let writer = Writers(log.sinks.clone());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(&config.log.filter))
        .with_ansi(false)
        .with_writer(writer);
    match config.log.format {
        Format::Text => telemetry::install(builder.finish()),
        Format::Json => telemetry::install(
            builder.json().flatten_event(true).with_current_span(false).with_span_list(false).finish(),
        ),
    }
    log
}

impl Log {
    /// Waits for the last lines, a moment at most. Blocking, but short.
    pub fn flush(&self) {
        for sink in self.sinks.iter() {
            sink.flush(LAST_LINES);
        }
    }
}

fn filter(asked: &str) -> EnvFilter {
    let mut text = asked.to_owned();
    for (target, level) in QUIET {
        if !asked.contains(target) {
            text.push_str(&format!(",{target}={level}"));
        }
    }
    EnvFilter::new(text)
}

/// Gives every event its writer.
struct Writers(Arc<[Sink]>);

impl<'a> MakeWriter<'a> for Writers {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

/// Takes one event: `tracing_subscriber` writes each with a single call.
struct Line<'a>(&'a [Sink]);

impl io::Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        for sink in self.0 {
            sink.send(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
