//! `tpro-bridge`: carries messages between two NATS servers, the one of the Go system and the one
//! of tpro, so that services move from the one to the other one by one.
//!
//! The two systems cannot share a server: a Go copy that gets a request of tpro ends. So each has
//! its own, and the bridge asks on one server for what comes on the other. Several copies of it
//! share the work, by the queue groups of the services. A copy keeps nothing on disk.
//!
//! The bytes of the Go system are in [`go`]. [`from_old`] carries the requests of Go services,
//! [`from_new`] those of services of tpro.
#![forbid(unsafe_code)]

mod bridge;
mod command;
mod counts;
mod flights;
mod from_new;
mod from_old;
mod go;
mod headers;
mod http;
mod inbox;
mod intake;
mod labels;
mod log;
mod new_call;
mod old_call;
mod peers;
mod requester;
mod settings;
mod side;

use std::process::ExitCode;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    command::run().await
}
