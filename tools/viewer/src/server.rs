//! The life of the process: bind, serve, stop when asked.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use otlp_embedded::TraceServiceServer;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tonic::transport::server::TcpIncoming;

use crate::api;
use crate::args::Args;
use crate::collector::Collector;
use crate::store::Store;

/// Exporters send up to a few thousand spans at once; the default of 4 MiB would refuse them.
const MAX_MESSAGE: usize = 64 * 1024 * 1024;
/// Browsers keep their connections; after this we go without them.
const GRACE: Duration = Duration::from_secs(2);

/// Runs until SIGTERM or SIGINT. The error is one line for people.
pub async fn run(args: Args) -> Result<(), String> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let otlp = bind("--otlp", args.otlp).await?;
    let ui = bind("--ui", args.ui).await?;
    println!("OTLP over gRPC on {}, Jaeger UI on http://{}", shown(&otlp), shown(&ui));

    let store = Arc::new(RwLock::new(Store::new(args.limits())));
    let (stop, stopped) = watch::channel(());
    let ui = axum::serve(ui, api::router(Arc::clone(&store))).with_graceful_shutdown(until(&stopped));
    let collector = TraceServiceServer::new(Collector::new(store)).max_decoding_message_size(MAX_MESSAGE);
    let otlp = tonic::transport::Server::builder()
        .add_service(collector)
        .serve_with_incoming_shutdown(TcpIncoming::from(otlp), until(&stopped));
    let serving = async {
        let (ui, otlp) = tokio::join!(ui, otlp);
        ui.map_err(|error| format!("HTTP: {error}"))?;
        otlp.map_err(|error| format!("gRPC: {error}"))
    };
    tokio::pin!(serving);

    tokio::select! {
        result = &mut serving => return result,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    drop(stop);
    // Whoever is still connected after the grace time is let go with the process: nothing here is durable.
    tokio::time::timeout(GRACE, serving).await.unwrap_or(Ok(()))
}

async fn bind(flag: &str, address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => format!("{flag} {address}: the port is taken; give another with {flag}"),
        _ => format!("{flag} {address}: {error}"),
    })
}

/// The address bound: with port 0 asked for, the one that was given.
fn shown(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|error| error.to_string(), |address| address.to_string())
}

/// Ready when the sender is dropped.
fn until(stopped: &watch::Receiver<()>) -> impl Future<Output = ()> + Send + 'static {
    let mut stopped = stopped.clone();
    async move { while stopped.changed().await.is_ok() {} }
}
