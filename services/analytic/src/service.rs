//! The methods of `analytic`, and its reply handlers.

use tpro_sidecar::Service;

use crate::{handlers_request as request, handlers_subscribe as subscribe};

/// The service.
pub fn service() -> Service {
    Service::new("analytic")
        .setting(
            "EXAMPLE_PAUSE_MS",
            "200",
            "a visible pause in each step of the examples, in milliseconds; 0 turns it off",
        )
        .handle("example.simple", subscribe::simple)
        .handle("example.request_with_parallel_queries", subscribe::request_with_parallel_queries)
        .handle(
            "example.request_with_parallel_queries_with_transit_on_external_service",
            subscribe::request_with_parallel_queries_with_transit_on_external_service,
        )
        .on_reply("co.example.request_with_parallel_queries", request::co_sums, request::co_failed)
}
