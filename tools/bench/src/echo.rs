//! The service `echo`: answers `bench.echo` with the body of the request. Stateless, so that it
//! measures the way and not the work.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use tpro_sidecar::{AnyBody, Ctx, Fault, Service};

fn main() -> ExitCode {
    tpro_sidecar::run(Service::new("echo").handle_stateless("bench.echo", echo))
}

async fn echo(_: Ctx, body: AnyBody) -> Result<AnyBody, Fault> {
    Ok(body)
}
