//! A service: the API of its handlers ([`handler`]), and the parts that serve them.
//!
//! A copy waits for its turn to join the queue group ([`turn`]). Then it takes requests
//! ([`subscriber`]), keeps which ones it has accepted and answered ([`inbox`]), and runs their
//! handlers. Authors of services see all of this through `tpro_sidecar`.
#![forbid(unsafe_code)]

mod as_text;
mod catalogue;
pub mod handler;
pub mod host;
pub mod inbox;
pub mod metrics;
mod peers;
pub mod stage;
pub mod state;
pub mod subscriber;
pub mod testing;
pub mod turn;

pub use handler::{
    Answer, CallError, Ctx, Failure, Fault, HandlerResult, IntoFault, Method, Next, OnReply, Publish,
    QueryError, ReplyCtx, Request, Schemas, Service, Statements, Tx,
};
pub use testing::{Test, test};

/// Any body at all, kept as the text that came: for handlers that do not look into it.
///
/// ```
/// # use tpro_service as tpro_sidecar;
/// use tpro_sidecar::{AnyBody, Ctx, Fault};
///
/// async fn echo(_: Ctx, body: AnyBody) -> Result<AnyBody, Fault> {
///     Ok(body)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Fault> {
/// let test = tpro_sidecar::test(tpro_sidecar::Service::new("any").handle("body.echo", echo));
/// let body: AnyBody = test.call("body.echo", &[1, 2]).await?;
/// assert_eq!(body.get(), "[1,2]");
/// # Ok(())
/// # }
/// ```
pub type AnyBody = Box<serde_json::value::RawValue>;
