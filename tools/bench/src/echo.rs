//! The service `echo`: answers with the body of the request, by a method for each way to answer.
//! The handlers do nothing, so that the way is measured and not the work. `SERVICE_NAME` gives it
//! another name.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use tpro_sidecar::{AnyBody, Ctx, Fault, Service, Tx};

fn main() -> ExitCode {
    let name = std::env::var("SERVICE_NAME").unwrap_or_else(|_| "echo".to_owned());
    tpro_sidecar::run(
        Service::new(&name)
            .handle_stateless("bench.echo", echo)
            .handle("bench.echo_kept", echo)
            .handle_transactional("bench.echo_in_transaction", echo_in_transaction),
    )
}

async fn echo(_: Ctx, body: AnyBody) -> Result<AnyBody, Fault> {
    Ok(body)
}

async fn echo_in_transaction(_: Tx, body: AnyBody) -> Result<AnyBody, Fault> {
    Ok(body)
}
