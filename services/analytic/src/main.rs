//! The service `analytic`: a login, and sums that show what runs in parallel.
#![forbid(unsafe_code)]

mod handlers_request;
mod handlers_subscribe;
mod service;
mod settings;
#[cfg(test)]
mod tests;

fn main() -> std::process::ExitCode {
    tpro_sidecar::run(service::service())
}
