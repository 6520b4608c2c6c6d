//! The reasons why a call has no result.

use tpro_wire::{RpcError, Status, error::code, target::TargetError};

use super::Fault;

/// The reason why a call has no result.
///
/// By `?` it becomes an internal error, so that nobody is told of inner errors that mean nothing to
/// them. [`CallError::into_fault`] passes the error on where it does mean something.
///
/// ```
/// # use tpro_service as tpro_sidecar;
/// use tpro_sidecar::{AnyBody, CallError, Ctx, Fault};
///
/// async fn price(ctx: Ctx, order: AnyBody) -> Result<i64, Fault> {
///     match ctx.call("stock.price.net", &order).await {
///         // Without the service there is a price that is good enough.
///         Err(CallError::Unavailable(_) | CallError::Timeout(_)) => Ok(100),
///         other => other.map_err(CallError::into_fault),
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The text is no target.
    #[error("no target")]
    Target(#[from] TargetError),
    /// The body cannot be written as JSON, or is neither an object nor an array.
    #[error("the body is no JSON object or array")]
    Body(#[source] Option<serde_json::Error>),
    /// The body is larger than the wire carries.
    #[error("the body has {size} bytes, {limit} are allowed")]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The chain of calls is too long.
    #[error("the chain of calls is too long: {0} services")]
    Hops(u32),
    /// Nobody took the call within the budget. The code and the text say why: nobody runs the
    /// service, or somebody else takes its messages (-32001); the NATS server forbids to publish to
    /// it (-32001); every copy is overloaded (-32008); no copy understands our version of the wire
    /// (-32010).
    #[error("{}", .0.message)]
    Unavailable(RpcError),
    /// No answer within the budget.
    #[error("no answer within {0} ms")]
    Timeout(u128),
    /// The service cannot tell this call from a repeat, since the message it belongs to is too old.
    #[error("the message is too old for the service to tell repeats")]
    Stale,
    /// The reply is no answer.
    #[error("the reply is no answer")]
    BadReply(#[source] tpro_wire::NotAnswer),
    /// The result does not fit the type that was asked for, or a number in it would be rounded.
    #[error("the result does not fit")]
    Misfit(#[source] serde_json::Error),
    /// The service has answered with an error.
    #[error("the service has answered with error {}", .0.code)]
    Answered(RpcError),
}

impl CallError {
    /// The status of the call, as a reply row would have it.
    pub fn status(&self) -> Status {
        match self {
            Self::Unavailable(_) => Status::Unavailable,
            Self::Timeout(_) | Self::Stale => Status::Timeout,
            _ => Status::Error,
        }
    }

    /// The error as the reply row has it.
    pub fn to_rpc(&self) -> RpcError {
        let code = match self {
            Self::Answered(error) | Self::Unavailable(error) => return error.clone(),
            Self::Target(_) | Self::Body(_) => code::INVALID_REQUEST,
            Self::TooLarge { .. } => code::TOO_LARGE,
            Self::Hops(_) => code::HOPS,
            Self::Timeout(_) => code::TIMEOUT,
            Self::Stale => code::STALE,
            Self::BadReply(what) => return RpcError::new(code::BAD_REPLY, what.to_string()),
            Self::Misfit(_) => code::BAD_REPLY,
        };
        RpcError::new(code, self.to_string())
    }

    /// Passes the error on to our own caller, with its code and text.
    pub fn into_fault(self) -> Fault {
        Fault::pass_on(self.to_rpc())
    }
}
