//! The sidecar every service links: it carries outbox rows to NATS and replies back to rows, and lets handlers answer.
//!
//! A service's `main` is `fn main() -> std::process::ExitCode { tpro_sidecar::run(service()) }`.
#![forbid(unsafe_code)]

/// The allocator of every service. A message is some dozens of small allocations, made by one thread and freed by another.
/// With glibc's malloc they took a third of a sidecar's CPU time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod boot;
mod cli;
pub mod handler;
mod http;
pub mod inbox;
pub mod subscriber;
mod turn;

pub use boot::run;
pub use handler::{CallError, Ctx, Failure, Fault, Publish, QueryError, ReplyCtx, Service, Statements, Tx};
pub use tokio_postgres::error::SqlState;
/// For the log: ids and numbers, never a body.
pub use tracing::{debug, error, info, warn};

/// Any body at all, kept as the text it came as: for handlers that do not look into it.
pub type AnyBody = Box<serde_json::value::RawValue>;
