//! OTLP in: the gRPC service that exporters send to.

use std::sync::{Arc, PoisonError, RwLock};

use otlp_embedded::TraceService;
use otlp_embedded::proto::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tonic::{Request, Response, Status};

use crate::store::Store;

/// Puts what arrives into the store.
pub struct Collector {
    store: Arc<RwLock<Store>>,
}

impl Collector {
    /// A collector that fills this store.
    pub fn new(store: Arc<RwLock<Store>>) -> Self {
        Self { store }
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut refused = 0;
        {
            let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
            for sent in request.into_inner().resource_spans {
                refused += store.add(sent);
            }
        }
        let partial_success = (refused > 0).then(|| ExportTracePartialSuccess {
            rejected_spans: refused.try_into().unwrap_or(i64::MAX),
            error_message: "trace and span ids have 16 and 8 bytes, not all zero".to_owned(),
        });
        Ok(Response::new(ExportTraceServiceResponse { partial_success }))
    }
}
