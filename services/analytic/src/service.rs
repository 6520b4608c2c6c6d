//! The methods of `analytic`, and its reply handlers.

use tpro_sidecar::Service;

use crate::{handlers_request as request, handlers_subscribe as subscribe, settings::Settings};

/// The service.
pub fn service() -> Service<Settings> {
    Service::with_settings("analytic")
        .handle_request(subscribe::simple)
        .handle("example.request_with_parallel_queries", subscribe::request_with_parallel_queries)
        .handle(
            "example.request_with_parallel_queries_with_transit_on_external_service",
            subscribe::request_with_parallel_queries_with_transit_on_external_service,
        )
        .on_reply("co.example.request_with_parallel_queries", request::co_sums, request::co_failed)
}
