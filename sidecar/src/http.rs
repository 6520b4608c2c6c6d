//! Health, metrics and version over HTTP.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{metrics::gauge::Gauge, registry::Registry};
use tokio::{net::TcpListener, task::JoinHandle};
use tpro_http::Listener;
use tpro_runtime::{config::Config, health::Health, metrics, shutdown::Stop};
use uuid::Uuid;

/// Connections at a time. Probes and a scraper or two are a handful.
const CONNECTIONS: usize = 64;

/// The server; it answers until it is dropped, also during a drain.
pub(crate) struct Http {
    instance: Arc<OnceLock<Uuid>>,
    server: JoinHandle<()>,
}

/// The page that `/metrics` prints.
pub(crate) struct Page {
    pub(crate) registry: Registry,
    pub(crate) process: Process,
}

/// Facts of the process, set when the page is asked for.
#[derive(Default)]
pub(crate) struct Process {
    ready: Gauge,
    tasks: Gauge,
    resident_memory_bytes: Gauge,
}

impl Process {
    /// All at zero, registered.
    pub(crate) fn new(r: &mut Registry) -> Self {
        let process = Self::default();
        r.register("ready", "1 when no readiness check complains", process.ready.clone());
        r.register("tasks", "Tasks on the tracker", process.tasks.clone());
        r.register("resident_memory_bytes", "Memory in RAM", process.resident_memory_bytes.clone());
        process
    }
}

/// The address is not available.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {host}:{port}: {source}; set SERVICE_PORT to a free port (0 takes any)")]
pub struct HttpError {
    host: String,
    port: u16,
    source: io::Error,
}

#[derive(Clone)]
struct Shared {
    config: Arc<Config>,
    health: Health,
    page: Arc<Page>,
    stop: Stop,
    instance: Arc<OnceLock<Uuid>>,
}

/// Starts to answer.
pub(crate) async fn start(
    config: &Arc<Config>,
    health: &Health,
    page: Page,
    stop: &Stop,
) -> Result<Http, HttpError> {
    let failed = |source| HttpError { host: config.host.clone(), port: config.port, source };
    let listener = TcpListener::bind((config.host.as_str(), config.port)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let instance = Arc::new(OnceLock::new());
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(print_metrics))
        .route("/version", get(version))
        .with_state(Shared {
            config: config.clone(),
            health: health.clone(),
            page: Arc::new(page),
            stop: stop.clone(),
            instance: instance.clone(),
        });
    // Not on the tracker, which is waited for before the end: this is to answer until the end.
    let server = tokio::spawn(async move {
        tpro_http::serve(Listener::new(listener, CONNECTIONS), router, std::future::pending()).await;
    });
    tracing::info!("listening on http://{address}");
    Ok(Http { instance, server })
}

impl Http {
    /// From now on `/version` knows the database.
    pub(crate) fn instance_is(&self, instance: Uuid) {
        // Set once: the sidecar asks for it once.
        let _ = self.instance.set(instance);
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The process lives. A drain is part of life: a supervisor that kills unhealthy processes must not
/// kill it now.
async fn healthz() -> &'static str {
    "ok\n"
}

/// Answers if work may be sent here. If not, each failing check is on a line.
async fn readyz(State(shared): State<Shared>) -> Response {
    let failing = shared.health.failing();
    if failing.is_empty() {
        return "ready\n".into_response();
    }
    let text: String = failing.iter().map(|(check, reason)| format!("{check}: {reason}\n")).collect();
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn print_metrics(State(shared): State<Shared>) -> Response {
    let process = &shared.page.process;
    process.ready.set(i64::from(shared.health.failing().is_empty()));
    process.tasks.set(i64::try_from(shared.stop.tasks.len()).unwrap_or(i64::MAX));
    process.resident_memory_bytes.set(resident_memory_bytes());
    match metrics::print(&shared.page.registry) {
        Ok(text) => ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn version(State(shared): State<Shared>) -> Response {
    let config = &shared.config;
    let body = serde_json::json!({
        "service": config.service.as_str(),
        "version": config.version,
        "copy": config.copy,
        "instance": shared.instance.get().map(Uuid::to_string),
        "build": BUILD,
    });
    ([(CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}

/// The build: the version of the library that every service links, and the commit where the builder
/// says it.
pub(crate) const BUILD: &str = match option_env!("TPRO_BUILD") {
    Some(build) => build,
    None => concat!("tpro-sidecar ", env!("CARGO_PKG_VERSION")),
};

/// Memory of this process that is in RAM, from the line `VmRSS:  12345 kB`; 0 where the kernel does
/// not say.
fn resident_memory_bytes() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<i64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
