//! The methods of `main`, and its reply handlers.

use contracts::Login;
use tpro_sidecar::Service;

use crate::{handlers_request as request, handlers_subscribe as subscribe};

/// The service.
pub fn service() -> Service {
    Service::new("main")
        .setting(
            "EXAMPLE_PAUSE_MS",
            "200",
            "a visible pause in each step of the examples, in milliseconds; 0 turns it off",
        )
        .handle("company.winners", subscribe::winners)
        .on_reply_to::<Login>(request::logged_in, request::login_failed)
        .on_reply("analytic.example.request_with_parallel_queries", request::sums, request::sums_failed)
        .on_reply(
            "analytic.example.request_with_parallel_queries_with_transit_on_external_service",
            request::transit_sums,
            request::transit_failed,
        )
}
