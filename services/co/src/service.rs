//! The methods of `co`.

use tpro_sidecar::Service;

use crate::handlers_subscribe as subscribe;

/// The service.
pub fn service() -> Service {
    Service::new("co")
        .setting(
            "EXAMPLE_PAUSE_MS",
            "200",
            "a visible pause in each step of the examples, in milliseconds; 0 turns it off",
        )
        .handle("example.request_with_parallel_queries", subscribe::request_with_parallel_queries)
}
