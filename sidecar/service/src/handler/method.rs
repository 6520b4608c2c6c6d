//! A handler without its types: a body goes in as JSON text, a result comes out as JSON text.

use std::{future::Future, pin::Pin};

use serde::{Serialize, de::DeserializeOwned};

use super::{Ctx, Failure, Fault, ReplyCtx, Tx, body};

type Running<R> = Pin<Box<dyn Future<Output = Result<R, Fault>> + Send>>;
/// A handler without its types.
pub(crate) type Erased<C, R> = Box<dyn Fn(C, &str) -> Running<R> + Send + Sync>;

/// A method of a service, in one of the three ways.
pub(crate) enum Method {
    /// Accepts and outcomes are written in batches.
    Default(Erased<Ctx, String>),
    /// Inbox row, effects and outcome are one transaction.
    Transactional(Erased<Tx, String>),
    /// No inbox: a repeat runs again.
    Stateless(Erased<Ctx, String>),
}

impl Method {
    /// The way, for logs and spans.
    pub(crate) fn way(&self) -> &'static str {
        match self {
            Self::Default(_) => "default",
            Self::Transactional(_) => "transactional",
            Self::Stateless(_) => "stateless",
        }
    }
}

/// The handlers for the replies of one target.
pub(crate) struct ReplyHandler {
    /// For status `ok`.
    pub(crate) ok: Erased<ReplyCtx, ()>,
    /// For all others.
    pub(crate) failed: Erased2<ReplyCtx, Failure>,
}

type Erased2<C, B> = Box<dyn Fn(C, B) -> Running<()> + Send + Sync>;

/// Takes the types off a handler. The body is read before the handler's future is made, so that the
/// future owns all it needs.
pub(crate) fn erase<C, T, R, Fut>(handler: impl Fn(C, T) -> Fut + Send + Sync + 'static) -> Erased<C, String>
where
    T: DeserializeOwned,
    R: Serialize,
    Fut: Future<Output = Result<R, Fault>> + Send + 'static,
{
    Box::new(move |context, json| match body::read::<T>(json) {
        Ok(body) => {
            let result = handler(context, body);
            Box::pin(async move { body::write(&result.await?) })
        }
        Err(fault) => Box::pin(std::future::ready(Err(fault))),
    })
}

/// Takes the types off a handler of replies, which has no result.
pub(crate) fn erase_reply<T, Fut>(
    handler: impl Fn(ReplyCtx, T) -> Fut + Send + Sync + 'static,
) -> Erased<ReplyCtx, ()>
where
    T: DeserializeOwned,
    Fut: Future<Output = Result<(), Fault>> + Send + 'static,
{
    Box::new(move |context, json| match body::read::<T>(json) {
        Ok(body) => Box::pin(handler(context, body)),
        Err(fault) => Box::pin(std::future::ready(Err(fault))),
    })
}

/// Takes the types off a handler of failures.
pub(crate) fn erase_failure<Fut>(
    handler: impl Fn(ReplyCtx, Failure) -> Fut + Send + Sync + 'static,
) -> Erased2<ReplyCtx, Failure>
where
    Fut: Future<Output = Result<(), Fault>> + Send + 'static,
{
    Box::new(move |context, failure| Box::pin(handler(context, failure)))
}
