//! Requests out of connections.

use std::{pin::pin, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{Connection, Listener};

/// How long the header of a request may take, from the connection or the answer before it on.
const HEADER: Duration = Duration::from_secs(10);
/// And how large it may be.
const HEADER_BYTES: usize = 16 * 1024;
/// How long a connection may live, so that none is held by somebody who reads its answer byte for byte.
const LIFETIME: Duration = Duration::from_secs(600);
/// What it has then to end in good order.
const GRACE: Duration = Duration::from_secs(5);

/// Answers until `stop` is ready, and then finishes what is being answered.
pub async fn serve(mut listener: Listener, router: Router, stop: impl Future<Output = ()>) {
    let mut stop = pin!(stop);
    let stopping = CancellationToken::new();
    // All that was begun ends with us: dropped, too.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            connection = listener.accept() => {
                connections.spawn(one(connection, router.clone(), stopping.clone()));
            }
            Some(_) = connections.join_next() => {}
            () = &mut stop => break,
        }
    }
    drop(listener);
    stopping.cancel();
    while connections.join_next().await.is_some() {}
}

async fn one(connection: Connection, router: Router, stopping: CancellationToken) {
    let service = TowerToHyperService::new(router);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(connection), service);
    let mut serving = pin!(serving);
    tokio::select! {
        // How it ended is the other end's affair.
        _ = serving.as_mut() => return,
        () = sleep(LIFETIME) => {}
        () = stopping.cancelled() => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(GRACE, serving).await;
}
