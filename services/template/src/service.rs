//! What `template` answers, and what it does with replies. Each line is a handler.

use tpro_sidecar::Service;

use crate::handlers_subscribe as subscribe;

/// The service.
pub fn service() -> Service {
    Service::new("template").handle("example.ping", subscribe::ping)
    // What it does with replies to what it asked, in handlers_request.rs:
    //     .on_reply("analytic.example.simple", request::logged_in, request::login_failed)
}
