//! The methods of `template`, and its reply handlers. Each line is a handler.

use tpro_sidecar::Service;

use crate::handlers_subscribe as subscribe;

/// The service.
pub fn service() -> Service {
    Service::new("template").handle_request(subscribe::ping)
    // Reply handlers, in handlers_request.rs:
    //     .on_reply("analytic.example.simple", request::logged_in, request::login_failed)
    // A method can also be named by a text: .handle("example.ping", subscribe::ping)
}
