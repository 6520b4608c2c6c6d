//! The life of the process: bind, serve, stop when asked.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use futures_util::stream::{self, Stream};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tower::limit::GlobalConcurrencyLimitLayer;
use tpro_http::Listener;

use crate::answer::Answers;
use crate::api;
use crate::args::Args;
use crate::collector::Collector;
use crate::exporter::Exporter;
use crate::hosts::Hosts;
use crate::store::Store;

/// Connections at a time, of exporters and of readers each: a handful is usual.
const CONNECTIONS: usize = 64;
/// Messages that are taken in at a time, and the longest time for one to arrive.
const MESSAGES: usize = 2;
const ARRIVAL: Duration = Duration::from_secs(10);
/// The bytes that a connection may send ahead of a message's turn.
const WINDOW: u32 = 64 * 1024;
/// The interval at which a silent exporter is asked if it is there.
const ASK: Duration = Duration::from_secs(30);
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
    let hosts = Hosts::new(args.ui, &args.host);
    let pages = api::router(Arc::clone(&store), Answers::new(args.answers()), hosts);
    let ui = tpro_http::serve(Listener::new(ui, CONNECTIONS), pages, until(&stopped));
    let otlp = tonic::transport::Server::builder()
        .layer(GlobalConcurrencyLimitLayer::new(MESSAGES))
        .timeout(ARRIVAL)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(2 * WINDOW)
        .max_concurrent_streams(16)
        .http2_max_header_list_size(16 * 1024)
        .http2_keepalive_interval(Some(ASK))
        .add_service(Collector::new(store, args.message()))
        .serve_with_incoming_shutdown(exporters(Listener::new(otlp, CONNECTIONS)), until(&stopped));
    let serving = async {
        let ((), otlp) = tokio::join!(ui, otlp);
        otlp.map_err(|error| format!("gRPC: {error}"))
    };
    tokio::pin!(serving);

    tokio::select! {
        result = &mut serving => return result,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    drop(stop);
    // Readers who are still connected after the grace time are let go with the process: nothing
    // here is durable.
    tokio::time::timeout(GRACE, serving).await.unwrap_or(Ok(()))
}

/// The connections of exporters, as tonic takes them.
fn exporters(listener: Listener) -> impl Stream<Item = Result<Exporter, Infallible>> {
    stream::unfold(
        listener,
        |mut listener| async move { Some((Ok(Exporter(listener.accept().await)), listener)) },
    )
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
