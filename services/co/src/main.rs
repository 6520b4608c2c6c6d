//! The service `co`, which `analytic` asks.
#![forbid(unsafe_code)]

mod handlers_request;
mod handlers_subscribe;
mod service;
#[cfg(test)]
mod tests;

fn main() -> std::process::ExitCode {
    tpro_sidecar::run(service::service())
}
