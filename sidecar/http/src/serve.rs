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

/// The longest time for the header of a request. It begins with the connection or with the answer
/// before.
const HEADER: Duration = Duration::from_secs(10);
/// The largest header of a request.
const HEADER_BYTES: usize = 16 * 1024;
/// The longest life of a connection, so that a client that reads its answer byte by byte holds none
/// for ever.
const LIFETIME: Duration = Duration::from_secs(600);
/// The time that a connection then has to end in good order.
const GRACE: Duration = Duration::from_secs(5);

/// Answers until `stop` is ready, and then finishes the answers that are under way.
pub async fn serve(mut listener: Listener, router: Router, stop: impl Future<Output = ()>) {
    let mut stop = pin!(stop);
    let stopping = CancellationToken::new();
    // The connections end with this function, also when it is dropped.
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
        // An error here is the other end's.
        _ = serving.as_mut() => return,
        () = sleep(LIFETIME) => {}
        () = stopping.cancelled() => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(GRACE, serving).await;
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
        sync::oneshot,
    };

    use super::*;

    #[tokio::test]
    async fn what_is_being_answered_is_finished_when_it_stops() {
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("its address");
        let (asked, is_asked) = oneshot::channel();
        let (go_on, may_go_on) = oneshot::channel::<()>();
        let once = std::sync::Arc::new(std::sync::Mutex::new(Some((asked, may_go_on))));
        let slow = get(move || async move {
            let (asked, may_go_on) = once.lock().expect("alone").take().expect("asked once");
            asked.send(()).expect("it waits for this");
            may_go_on.await.expect("it is told");
            "done"
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let router = Router::new().route("/", slow);
        let serving = tokio::spawn(serve(Listener::new(socket, 4), router, async {
            stopped.await.ok();
        }));
        let mut end = TcpStream::connect(address).await.expect("connected");
        end.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
        is_asked.await.expect("it was asked");
        stop.send(()).expect("it listens for this");
        go_on.send(()).expect("it waits for this");
        let mut answer = String::new();
        end.read_to_string(&mut answer).await.expect("an answer and an end");
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("done"), "{answer}");
        serving.await.expect("it ended");
        assert!(TcpStream::connect(address).await.is_err());
    }
}
