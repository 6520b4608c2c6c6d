//! A trace collector that takes all and keeps nothing: it does not even decode, so that next to
//! nothing of the machine goes into it.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Buf as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tpro_testkit::{Context as _, Outcome};

/// More than one export of spans has.
const LARGEST: usize = 64 << 20;

/// A running collector.
pub struct Collector {
    address: SocketAddr,
    sink: Sink,
    server: JoinHandle<()>,
}

/// The service of OTLP for traces, and of any other path.
#[derive(Clone, Default)]
struct Sink(Arc<AtomicU64>);

/// Reads an export as the number of its bytes, and writes an empty answer.
struct Discard;

impl Collector {
    /// Starts it on a free port.
    pub async fn start() -> Outcome<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("a port for the collector")?;
        let address = listener.local_addr()?;
        let sink = Sink::default();
        let server = tokio::spawn(serve(sink.clone(), listener));
        Ok(Self { address, sink, server })
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The bytes that have come so far.
    pub fn bytes(&self) -> u64 {
        self.sink.0.load(Ordering::Relaxed)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn serve(sink: Sink, listener: TcpListener) -> impl Future<Output = ()> {
    let served = Server::builder().serve_with_incoming(sink, TcpIncoming::from(listener));
    async move {
        // An error of the server shows as spans that are lost.
        let _ = served.await;
    }
}

impl Service<http::Request<Body>> for Sink {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let sink = self.clone();
        Box::pin(async move {
            let mut unary = Grpc::new(Discard).max_decoding_message_size(LARGEST);
            Ok(unary.unary(sink, request).await)
        })
    }
}

impl UnaryService<usize> for Sink {
    type Response = ();
    type Future = Ready<Result<Response<()>, Status>>;

    fn call(&mut self, request: Request<usize>) -> Self::Future {
        self.0.fetch_add(request.into_inner() as u64, Ordering::Relaxed);
        ready(Ok(Response::new(())))
    }
}

impl Codec for Discard {
    type Encode = ();
    type Decode = usize;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Discard {
    type Item = ();
    type Error = Status;

    fn encode(&mut self, (): (), _: &mut EncodeBuf<'_>) -> Result<(), Status> {
        Ok(())
    }
}

impl Decoder for Discard {
    type Item = usize;
    type Error = Status;

    fn decode(&mut self, export: &mut DecodeBuf<'_>) -> Result<Option<usize>, Status> {
        let bytes = export.remaining();
        export.advance(bytes);
        Ok(Some(bytes))
    }
}
