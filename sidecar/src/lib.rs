//! The sidecar every service links: it carries outbox rows to NATS and replies back to rows, and
//! lets handlers answer.
//!
//! Here it is put together: the life of the process, its command line and its HTTP port, and the
//! names that a service uses. A service's `main` is `fn main() -> std::process::ExitCode {
//! tpro_sidecar::run(service()) }`.
//!
//! A service with settings, a request that names its method, and a test without servers:
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use tpro_sidecar::{Ctx, Fault, Method, Service, Settings};
//!
//! #[derive(Serialize, Deserialize, Method)]
//! #[method("billing.invoice.total", reply = Total)]
//! struct Order {
//!     prices: Vec<u32>,
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Total {
//!     sum: u32,
//! }
//!
//! #[derive(Settings)]
//! struct Own {
//!     /// the price of the delivery
//!     #[setting("DELIVERY_PRICE", default = "5")]
//!     delivery: u32,
//! }
//!
//! async fn total(ctx: Ctx<Own>, order: Order) -> Result<Total, Fault> {
//!     if order.prices.is_empty() {
//!         return Err(Fault::field("prices", "an order has at least one price"));
//!     }
//!     Ok(Total { sum: order.prices.iter().sum::<u32>() + ctx.state().delivery })
//! }
//!
//! fn service() -> Service<Own> {
//!     Service::with_settings("billing").handle_request(total)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Fault> {
//! let test = tpro_sidecar::test(service()).setting("DELIVERY_PRICE", "7");
//! assert_eq!(test.call_request(&Order { prices: vec![1, 2] }).await?.sum, 10);
//! let refused = test.call_request(&Order { prices: vec![] }).await;
//! assert_eq!(refused.err().map(|fault| fault.code()), Some(-32602));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

/// The allocator of every service. A message is some dozens of small allocations, made by one
/// thread and freed by another. With glibc's malloc they took a third of a sidecar's CPU time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod boot;
mod cli;
mod http;

pub use boot::run;
/// The code of an error of PostgreSQL.
///
/// ```
/// use tpro_sidecar::{QueryError, SqlState};
///
/// fn is_taken(error: &QueryError) -> bool {
///     error.code() == Some(&SqlState::UNIQUE_VIOLATION)
/// }
/// ```
pub use tokio_postgres::error::SqlState;
/// ```
/// use serde::{Deserialize, Serialize};
/// use tpro_sidecar::{Ctx, Fault, Method, Service};
///
/// #[derive(Serialize, Deserialize, Method)]
/// #[method("stock.item.count", reply = u32)]
/// struct Count {
///     item: String,
/// }
///
/// async fn count(_: Ctx, asked: Count) -> Result<u32, Fault> {
///     Ok(asked.item.len() as u32)
/// }
///
/// fn service() -> Service {
///     Service::new("stock").handle_request(count)
/// }
/// ```
pub use tpro_macros::Method;
/// ```
/// use std::time::Duration;
///
/// use tpro_sidecar::{Secret, Service, Settings};
///
/// #[derive(Settings)]
/// struct Bank {
///     /// the token for the bank
///     #[setting("BANK_TOKEN")]
///     token: Secret,
///     /// the longest wait for the bank
///     #[setting("BANK_TIMEOUT", default = "5s")]
///     timeout: Duration,
/// }
///
/// fn service() -> Service<Bank> {
///     Service::with_settings("billing")
/// }
/// ```
pub use tpro_macros::Settings;
pub use tpro_runtime::config::{FromSetting, OwnSetting, Secret, Settings};
pub use tpro_service::{
    Answer, AnyBody, CallError, Ctx, Failure, Fault, HandlerResult, IntoFault, Method, Next, OnReply,
    Publish, QueryError, ReplyCtx, Request, Schemas, Service, Statements, Test, Tx, stage::Sent, test,
};
pub use tpro_wire::{RpcError, Status};
/// For the log: ids and numbers, never a body.
///
/// ```
/// tpro_sidecar::info!(seats = 12, "the seats are counted");
/// ```
pub use tracing::{debug, error, info, warn};
