//! OTLP in: the gRPC service that exporters send to.
//!
//! By hand and not by the generated code, which decodes a message as a whole before anybody can
//! look at it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use axum::body::{Bytes, HttpBody};
use axum::http;
use otlp_embedded::proto::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message as _;
use prost::bytes::Buf as _;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};
use tower::Service;

use crate::store::Store;
use crate::wire::{Fields, Value};

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// `ExportTraceServiceRequest.resource_spans`.
const RESOURCE_SPANS: u64 = 1;

/// Puts arriving spans into the store.
#[derive(Clone)]
pub struct Collector {
    store: Arc<RwLock<Store>>,
    most: usize,
}

impl Collector {
    /// A collector that fills this store and takes messages of so many bytes.
    pub fn new(store: Arc<RwLock<Store>>, most: usize) -> Self {
        Self { store, most }
    }

    fn export(&self, message: &[u8]) -> Result<ExportTraceServiceResponse, Status> {
        let mut refused = 0;
        for field in Fields::of(message) {
            let Ok((number, value)) = field else { return Err(Status::invalid_argument("no OTLP message")) };
            if let (RESOURCE_SPANS, Value::Bytes(sent)) = (number, value) {
                let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
                refused += store.add(sent).map_err(|_| Status::invalid_argument("no OTLP message"))?;
            }
        }
        let partial_success = (refused > 0).then(|| ExportTracePartialSuccess {
            rejected_spans: refused.try_into().unwrap_or(i64::MAX),
            error_message: "trace and span ids have 16 and 8 bytes, not all zero; a span and a process have 64 KiB at most"
                .to_owned(),
        });
        Ok(ExportTraceServiceResponse { partial_success })
    }
}

type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<B> Service<http::Request<B>> for Collector
where
    B: HttpBody + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Answer<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let collector = self.clone();
        Box::pin(async move {
            if request.uri().path() != EXPORT {
                return Ok(Status::unimplemented("only traces are taken here").into_http());
            }
            let mut grpc = Grpc::new(Raw).apply_max_message_size_config(Some(collector.most), None);
            Ok(grpc.unary(collector, request).await)
        })
    }
}

impl NamedService for Collector {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl UnaryService<Bytes> for Collector {
    type Response = ExportTraceServiceResponse;
    type Future = Answer<Result<Response<Self::Response>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let collector = self.clone();
        Box::pin(async move { collector.export(request.get_ref()).map(Response::new) })
    }
}

/// A request as its bytes.
struct Raw;

impl Codec for Raw {
    type Encode = ExportTraceServiceResponse;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = ExportTraceServiceResponse;
    type Error = Status;

    fn encode(&mut self, item: Self::Item, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let all = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(all)))
    }
}
