//! A trace collector inside the test: OTLP over gRPC, as the sidecar exports it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::failure::{Context, Outcome};
use crate::span::{SpanRecord, Trace};

/// A running collector that keeps all it gets.
pub struct Collector {
    address: SocketAddr,
    taken: Taken,
    server: JoinHandle<()>,
}

#[derive(Clone, Default)]
struct Taken(Arc<Mutex<Vec<ResourceSpans>>>);

#[tonic::async_trait]
impl TraceService for Taken {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.all().extend(request.into_inner().resource_spans);
        Ok(Response::new(ExportTraceServiceResponse { partial_success: None }))
    }
}

impl Taken {
    fn all(&self) -> std::sync::MutexGuard<'_, Vec<ResourceSpans>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Collector {
    /// Starts it on a free port.
    pub async fn start() -> Outcome<Collector> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("a port for the collector")?;
        let address = listener.local_addr()?;
        let taken = Taken::default();
        let service = TraceServiceServer::new(taken.clone()).max_decoding_message_size(64 << 20);
        let server = tokio::spawn(async move {
            // An error of the server shows as missing spans.
            let _ = Server::builder().serve_with_incoming(service, TcpIncoming::from(listener)).await;
        });
        Ok(Collector { address, taken, server })
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The port it listens on, for a proxy in between.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The number of arrivals so far. To look at all that has arrived is costly when nothing is
    /// new.
    pub fn arrivals(&self) -> usize {
        self.taken.all().len()
    }

    /// All spans so far, in the order of their start.
    pub fn spans(&self) -> Vec<SpanRecord> {
        let mut spans: Vec<SpanRecord> = Vec::new();
        for resource in self.taken.all().iter() {
            for span in resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
                spans.push(SpanRecord::new(resource.resource.as_ref(), span));
            }
        }
        spans.sort_by_key(|span| span.start_ns);
        spans
    }

    /// One trace as far as it has arrived, by its 32 hexadecimal digits.
    pub fn trace(&self, id: &str) -> Trace {
        Trace { spans: self.spans().into_iter().filter(|span| span.trace_id == id).collect() }
    }

    /// Every word that was exported, resources, events and links included, to search for words that
    /// must not be there.
    pub fn dump(&self) -> String {
        format!("{:?}", self.taken.all())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}
