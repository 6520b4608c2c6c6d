//! The life of the process, as a list of steps.

mod core_dump;
mod page;
mod probe;
mod replies;
mod start;
mod systemd;
mod work;

use std::{
    io::Write as _,
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::runtime::Runtime;
use tpro_runtime::{
    clock,
    config::Config,
    db::{DbError, Servers},
    failpoint::Points,
    health::Health,
    log,
    nats::NatsError,
    shutdown::Stop,
    telemetry::{self, Spans, TelemetryError},
};
use tpro_service::handler::Service;

use self::start::Start;
use crate::{
    cli::{self, Task},
    http::{self, HttpError},
};

/// The longest time for which the collector may hold up the end.
const LAST_SPANS: Duration = Duration::from_secs(5);
/// The exit code for a bad configuration.
const BAD_CONFIGURATION: u8 = 2;

/// The reason why the process did not start, or ended before it was told to.
#[derive(Debug, thiserror::Error)]
enum BootError {
    #[error("the runtime cannot be started: {0}")]
    Runtime(#[source] std::io::Error),
    #[error("signals cannot be heard: {0}")]
    Signals(#[source] std::io::Error),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error("{0}; correct DATABASE_URL (or PG*)")]
    Database(#[from] DbError),
    #[error(transparent)]
    Nats(#[from] NatsError),
    #[error("maintenance: {0}")]
    Maintenance(#[from] tpro_maintenance::MaintenanceError),
    #[error("maintenance: {0}")]
    Unmaintained(String),
    #[error("{0}")]
    State(String),
    #[error("{0}")]
    Fatal(String),
}

/// The end of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// All accepted work is finished.
    Graceful,
    /// Some work was cut off: by a second signal, or because the time was up.
    Forced,
    /// The program starts again.
    Anew,
}

/// Runs a service until it is told to stop.
///
/// Exit codes: 0 after a graceful stop, 2 for a bad configuration, 1 for anything else. Problems
/// are printed on stderr, a line for each.
///
/// ```no_run
/// use tpro_sidecar::{AnyBody, Ctx, Fault, Service};
///
/// async fn echo(_: Ctx, body: AnyBody) -> Result<AnyBody, Fault> {
///     Ok(body)
/// }
///
/// fn main() -> std::process::ExitCode {
///     tpro_sidecar::run(Service::new("echo").handle("body.echo", echo))
/// }
/// ```
pub fn run<S: Send + Sync + 'static>(service: Service<S>) -> ExitCode {
    // The points where a test pauses or kills us, from FAILPOINTS; the guard lives as long as the
    // process.
    let _points = Points::set_up();
    let began = clock::host();
    // Before anything secret is read.
    let dumps = core_dump::forbid();
    let task = cli::parse(service.name(), service.settings());
    let config = match Config::load(service.name(), service.settings()) {
        Ok(config) => Arc::new(config),
        Err(problems) => {
            say(&problems.to_string());
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    let dumps = if config.core_dumps { dumps.and_then(core_dump::Before::again) } else { dumps.map(drop) };
    if let Err(error) = dumps {
        say(&format!("CORE_DUMPS cannot be applied: {error}"));
    }
    let mistakes = service.problems(&config.service);
    if !mistakes.is_empty() {
        mistakes.iter().for_each(|mistake| say(mistake));
        return ExitCode::FAILURE;
    }
    let ended = match task {
        Task::Check => check(&config),
        Task::Health => on_runtime(async { Ok(probe::is_ready(&config).await) }),
        Task::Maintain => on_runtime(maintain(&config)),
        Task::Serve => on_runtime(serve(service, config, began)),
    };
    match ended {
        Ok(End::Graceful) => ExitCode::SUCCESS,
        Ok(End::Forced) => ExitCode::FAILURE,
        Ok(End::Anew) => begin_anew(),
        Err(error) => {
            say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// The life of a serving process.
async fn serve<S: Send + Sync + 'static>(
    service: Service<S>,
    config: Arc<Config>,
    began: SystemTime,
) -> Result<End, BootError> {
    let stop = Stop::default();
    stop.heed_signals().map_err(BootError::Signals)?;
    let (page, counts) = page::page(&config);
    let log = log::start(&config, &counts.log);
    tokio::spawn(log::reopen_when_told(stop.hangup.clone(), log.clone()));
    config.lines().for_each(|line| tracing::info!("configuration: {line}"));
    config.warnings.iter().for_each(|warning| tracing::warn!("configuration: {warning}"));
    let health = Health::default();
    health.hold("start", "starting");
    systemd::tell(&config, &health, &stop);
    let spans = Spans::export_to(&config, &counts.spans)?;
    let mut start = Start::new(&spans, began);
    let life = async {
        let http = http::start(&config, &health, page, &stop).await?;
        tokio::spawn(telemetry::check_collector(config.clone()));
        let service = service.start(&config).map_err(BootError::State)?;
        work::work(service, &config, counts, &health, &mut start, &http, &stop).await
    };
    let ended = life.await;
    if let Err(error) = &ended {
        start.failed(error);
    }
    drop(start);
    spans.flush_and_stop(LAST_SPANS).await;
    // A signal that came while the last spans went out is one to end.
    let ended = match ended {
        Ok(End::Anew) if stop.was_told() => Ok(End::Graceful),
        ended => ended,
    };
    match &ended {
        Ok(End::Graceful) => tracing::info!("stopped"),
        Ok(End::Forced) => tracing::warn!("stopped before everything was finished"),
        Ok(End::Anew) => tracing::warn!("restarting: {}", stop.anew_reason().unwrap_or_default()),
        Err(error) => tracing::error!("stopped: {error}"),
    }
    log.flush();
    ended
}

/// Puts the program in its own place, with its arguments and process id: a program that watches the
/// process sees one that is not ready for a moment. It comes back only when it fails.
fn begin_anew() -> ExitCode {
    let failed = std::env::current_exe()
        .map(|program| Command::new(program).args(std::env::args_os().skip(1)).exec())
        .unwrap_or_else(|error| error);
    say(&format!("cannot restart; start it manually: {failed}"));
    ExitCode::FAILURE
}

/// Prints the configuration. That it could be read is the answer.
fn check(config: &Config) -> Result<End, BootError> {
    let mut stdout = std::io::stdout().lock();
    for line in config.lines() {
        // The reader may have stopped reading.
        let _ = writeln!(stdout, "{line}");
    }
    config.warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
    Ok(End::Graceful)
}

/// Makes and drops partitions once, and prints the report.
async fn maintain(config: &Config) -> Result<End, BootError> {
    let report = tpro_maintenance::run(config, &Servers::of(config)).await?;
    // The reader may have stopped reading.
    let _ = write!(std::io::stdout(), "{report}");
    match report.failed.is_empty() {
        true => Ok(End::Graceful),
        false => Err(BootError::Unmaintained(report.failed.join("; "))),
    }
}

/// Runs on a runtime of its own, and does not wait afterwards for work that blocks its threads.
fn on_runtime(life: impl Future<Output = Result<End, BootError>>) -> Result<End, BootError> {
    let runtime = Runtime::new().map_err(BootError::Runtime)?;
    let ended = runtime.block_on(life);
    runtime.shutdown_background();
    ended
}

/// A line on stderr; `eprintln!` would panic where stderr is closed.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
