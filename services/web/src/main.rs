//! The service `web`: it sends the HTTP requests that other services publish.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    tpro_sidecar::run(web_service::service())
}
