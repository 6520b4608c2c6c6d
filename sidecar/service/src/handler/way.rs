//! A handler without its types: a body goes in as JSON text, a result comes out as JSON text.

use std::{future::Future, pin::Pin};

use serde::{Serialize, de::DeserializeOwned};

use super::{Ctx, Failure, Fault, HandlerResult, ReplyCtx, Tx, body};

pub(super) type Running<R> = Pin<Box<dyn Future<Output = Result<R, Fault>> + Send>>;
/// A handler without its types.
pub(crate) type Erased<C, R> = Box<dyn Fn(C, &str) -> Running<R> + Send + Sync>;

/// A method of a service, in one of the three ways.
pub(crate) enum Way {
    /// Accepts and outcomes are written in batches.
    Default(Erased<Ctx, String>),
    /// Inbox row, effects and outcome are one transaction.
    Transactional(Erased<Tx, String>),
    /// No inbox: a repeat runs again.
    Stateless(Erased<Ctx, String>),
}

impl Way {
    /// The name of the way, for logs and spans.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Default(_) => "default",
            Self::Transactional(_) => "transactional",
            Self::Stateless(_) => "stateless",
        }
    }
}

/// The handlers for the replies of one target.
pub(crate) struct Reaction {
    /// For status `ok`.
    pub(crate) ok: Erased<ReplyCtx, ()>,
    /// For all others.
    pub(crate) failed: Box<dyn Fn(ReplyCtx, Failure) -> Running<()> + Send + Sync>,
}

/// Takes the types off a handler. The body is read before the handler's future is made, so that the
/// future owns all it needs. `typed` gives the context the type of the service's state.
pub(crate) fn erase<Raw, C, T, Fut, O>(
    typed: fn(Raw) -> C,
    handler: impl Fn(C, T) -> Fut + Send + Sync + 'static,
) -> Erased<Raw, String>
where
    Raw: 'static,
    C: 'static,
    T: DeserializeOwned,
    Fut: Future<Output = O> + Send + 'static,
    O: HandlerResult,
    O::Reply: Serialize,
{
    Box::new(move |context, json| match body::read::<T>(json) {
        Ok(body) => {
            let result = handler(typed(context), body);
            Box::pin(async move { body::write(&result.await.into_result()?) })
        }
        Err(fault) => Box::pin(std::future::ready(Err(fault))),
    })
}
