//! `/healthz`, `/readyz` and `/metrics`.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tpro_http::Listener;
use tpro_runtime::{health::Health, metrics};

use crate::{counts::Counts, settings::Settings};

/// Connections at a time.
const CONNECTIONS: usize = 16;

#[derive(Clone)]
struct Shared {
    health: Health,
    registry: Arc<Registry>,
}

/// Begins to answer. It answers until the process ends.
pub async fn start(settings: &Settings, health: &Health, counts: &Counts) -> Result<(), String> {
    let (host, port) = (settings.host.as_str(), settings.port);
    let listening = TcpListener::bind((host, port)).await;
    let listener = listening.map_err(|error| {
        format!("cannot listen on {host}:{port}: {error}; set SERVICE_PORT to a free port (0 takes any)")
    })?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!("listening on http://{address}");
    }
    let shared = Shared { health: health.clone(), registry: Arc::new(counts.registry()) };
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(page))
        .with_state(shared);
    tokio::spawn(tpro_http::serve(Listener::new(listener, CONNECTIONS), router, std::future::pending()));
    Ok(())
}

/// The process lives.
async fn healthz() -> &'static str {
    "ok\n"
}

/// Answers if messages are carried. If not, each failing check is on a line.
async fn readyz(State(shared): State<Shared>) -> Response {
    let failing = shared.health.failing();
    if failing.is_empty() {
        return "ready\n".into_response();
    }
    let text: String = failing.iter().map(|(check, reason)| format!("{check}: {reason}\n")).collect();
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn page(State(shared): State<Shared>) -> Response {
    match metrics::print(&shared.registry) {
        Ok(text) => ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
