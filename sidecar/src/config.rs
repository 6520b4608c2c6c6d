//! The configuration: environment over `services/<name>/.env`, parsed whole, all problems at once.

use std::{path::PathBuf, time::Duration};

use tpro_wire::name::ServiceName;

/// The effective configuration of a sidecar. The only code that reads the environment makes it.
#[derive(Clone, Debug)]
pub struct Config {
    /// `SERVICE_NAME`.
    pub service: ServiceName,
    /// `SERVICE_VERSION`, default `1.0`.
    pub version: String,
    /// `COPY_NUMBER`, default 1.
    pub copy: u32,
    /// `SERVICE_PORT`: health, metrics, version; on loopback. 0 takes a free one.
    pub port: u16,
    /// `DATABASE_URL` (or `PG*`).
    pub database: tokio_postgres::Config,
    /// `DB_POOL_MAX`: connections for handlers, default 10.
    pub pool_max: usize,
    /// `NATS_URL`, comma-separated.
    pub nats_urls: Vec<String>,
    /// `NATS_TOKEN`.
    pub nats_token: Option<Secret>,
    /// `TPRO_SPACE`, default `tpro`.
    pub space: String,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`; none turns tracing off.
    pub otlp_endpoint: Option<String>,
    /// `OTEL_TRACES_SAMPLER` and its `_ARG` as the share of new traces that are kept, 0.0 to 1.0.
    pub sample_ratio: f64,
    /// `LOG_FILE_NAME`; none logs to stdout only.
    pub log_file: Option<PathBuf>,
    /// `STOP_TIMEOUT`: how long a graceful stop may wait for handlers and replies, default 25 s.
    pub stop_timeout: Duration,
    /// The bounds; each has a metric.
    pub limits: Limits,
    /// The dispatcher's rhythm.
    pub dispatch: Dispatch,
}

/// Bounds, each configurable.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `HANDLERS_MAX`: handlers at work at once, default 256; beyond it the answer is `overloaded`.
    pub handlers: usize,
    /// `LANE_MAX`: messages in flight per target service, default 1024.
    pub lane: usize,
    /// `IN_FLIGHT_MAX`: messages in flight in total, default 4096.
    pub in_flight: usize,
    /// `IN_FLIGHT_MAX_MB`: bytes of bodies in flight in total, default 16 MiB.
    pub in_flight_bytes: usize,
    /// `RUNS_MAX`: runs of one message by default handlers before it is answered as an error, default 5.
    pub runs: u32,
    /// `REPLY_MAX`: bytes of an answer, default 900,000 (and never more than NATS allows).
    pub reply: usize,
    /// `HOPS_MAX`, default 16.
    pub hops: u32,
    /// `REPLY_HANDLER_TIMEOUT`, default 30 s.
    pub reply_handler: Duration,
    /// `INBOX_WINDOW`: how old a uid may be before it is refused as stale, default 2 days.
    pub inbox_window: Duration,
}

/// The dispatcher's rhythm.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// `POLL_INTERVAL_MS`: the slow poll behind the bell, default 5 s; 0 turns it off.
    pub slow_poll: Option<Duration>,
    /// `PARK_AFTER_MS`: how long reads must find nothing before the dispatcher sleeps, default 50 ms.
    pub park_after: Duration,
    /// `ATTEMPT_TIMEOUT_MS`: how long to wait for the reply to one attempt before sending again, default 5 s.
    pub attempt_timeout: Duration,
    /// `PAGE_ROWS`: rows per read, default 500.
    pub page: i64,
    /// `LEAD_INTERVAL_MS`: how often a follower tries to lead, default 500 ms.
    pub lead_interval: Duration,
    /// `HEARTBEAT_MS`: the leader runs a statement at least this often, default 5 s.
    pub heartbeat: Duration,
}

/// A value that prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }
    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}
