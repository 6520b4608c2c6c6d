//! The service `main`: the monolith's side; it asks, and does something with the replies.
#![forbid(unsafe_code)]

mod handlers_request;
mod handlers_subscribe;
mod service;
#[cfg(test)]
mod tests;

fn main() -> std::process::ExitCode {
    tpro_sidecar::run(service::service())
}
