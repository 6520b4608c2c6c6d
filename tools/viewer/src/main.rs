//! `tpro-viewer`: the local trace viewer.
//!
//! Takes spans by OTLP over gRPC and shows them in the real Jaeger UI. The UI's files and the
//! generated OTLP service come from the crate `otlp-embedded`. The store and the API under the UI
//! are our own, because that crate's API hides a trace whose first span has a parent elsewhere,
//! knows only the services of root spans, leaves out span kinds and errors, puts links before
//! parents (the UI takes the first reference for the parent), and re-measures the whole trace at
//! every span that arrives.
#![forbid(unsafe_code)]

mod answer;
mod api;
mod args;
mod collector;
mod dependencies;
mod exporter;
mod hosts;
mod jaeger;
mod names;
mod search;
mod server;
mod service;
mod store;
mod wire;

use std::process::ExitCode;

use clap::Parser as _;

/// It gives memory back to the system when an eviction has freed it; glibc's malloc keeps it, in
/// pieces.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let args = args::Args::parse();
    match server::run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tpro-viewer: {error}");
            ExitCode::FAILURE
        }
    }
}
