//! The sidecar every service links: it carries outbox rows to NATS and replies back to rows, and
//! lets handlers answer.
//!
//! Here it is put together: the life of the process, its command line and its HTTP port, and the
//! names that a service uses. A service's `main` is `fn main() -> std::process::ExitCode {
//! tpro_sidecar::run(service()) }`.
#![forbid(unsafe_code)]

/// The allocator of every service. A message is some dozens of small allocations, made by one
/// thread and freed by another. With glibc's malloc they took a third of a sidecar's CPU time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod boot;
mod cli;
mod http;

pub use boot::run;
pub use tokio_postgres::error::SqlState;
pub use tpro_runtime::config::{FromSetting, OwnSetting, Secret, Settings};
pub use tpro_service::{
    AnyBody, CallError, Ctx, Failure, Fault, HandlerResult, IntoFault, Method, OnReply, Publish, QueryError,
    ReplyCtx, Service, Statements, Test, Tx, stage::Sent, test,
};
pub use tpro_wire::{RpcError, Status};
/// For the log: ids and numbers, never a body.
pub use tracing::{debug, error, info, warn};
