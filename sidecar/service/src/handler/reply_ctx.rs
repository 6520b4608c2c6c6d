//! The context of a reply handler.

use std::{marker::PhantomData, ops::Deref, sync::Arc};

use serde::Serialize;
use tpro_wire::{RpcError, Status, Target, TraceParent, Uid};

use super::{Fault, Method, Publish, Statements};
use crate::host::Host;

/// The context of a reply handler: the transaction that writes the reply, and the message that it
/// belongs to.
///
/// Statements ([`Statements`]) and [`ReplyCtx::publish`] work in that transaction, behind a
/// savepoint. If the handler fails, its part is undone, and the reply is kept.
///
/// ```
/// # use tpro_service as tpro_sidecar;
/// use tpro_sidecar::{Failure, Fault, ReplyCtx};
///
/// async fn sent(ctx: ReplyCtx, number: i64) -> Result<(), Fault> {
///     let sql = "UPDATE bills SET mail = $1 WHERE message = $2";
///     ctx.execute(sql, &[&number, &ctx.id()]).await?;
///     Ok(())
/// }
///
/// async fn not_sent(ctx: ReplyCtx, failure: Failure) -> Result<(), Fault> {
///     let sql = "UPDATE bills SET problem = $1 WHERE message = $2";
///     ctx.execute(sql, &[&failure.status.as_str(), &ctx.id()]).await?;
///     Ok(())
/// }
/// ```
///
/// `S` is the type of the service's state; a service without one has none to name.
pub struct ReplyCtx<S = ()> {
    told: Told,
    state: PhantomData<fn() -> S>,
}

/// The facts of a reply, and the transaction that writes it.
pub(crate) struct Told {
    pub(crate) app: Host,
    pub(crate) statements: Arc<Statements>,
    pub(crate) id: i64,
    pub(crate) uid: Uid,
    pub(crate) target: Target,
    pub(crate) attempts: i32,
    pub(crate) responder: Option<String>,
    pub(crate) reply_to: Option<String>,
    pub(crate) span: TraceParent,
}

/// A reply that is no result.
///
/// ```
/// # use tpro_service as tpro_sidecar;
/// use tpro_sidecar::Failure;
/// use tpro_wire::Status;
///
/// let failure = Failure::new(Status::Timeout, -32002, "no answer");
/// assert_eq!((failure.status.as_str(), failure.error.code), ("timeout", -32002));
/// ```
#[derive(Clone, Debug)]
pub struct Failure {
    /// The end of the message; never `ok`.
    pub status: Status,
    /// The reason.
    pub error: RpcError,
}

impl Failure {
    /// A failure with this status, code and text: for the tests of reply handlers.
    pub fn new(status: Status, code: i64, text: impl Into<String>) -> Self {
        Self { status, error: RpcError::new(code, text) }
    }
}

impl ReplyCtx {
    pub(crate) fn new(told: Told) -> Self {
        Self { told, state: PhantomData }
    }
}

impl<S: 'static> ReplyCtx<S> {
    /// See [`Ctx::state`](crate::Ctx::state).
    pub fn state(&self) -> &S {
        self.told.app.state.get()
    }
}

impl<S> ReplyCtx<S> {
    pub(crate) fn typed(ctx: ReplyCtx) -> Self {
        Self { told: ctx.told, state: PhantomData }
    }

    /// Publishes a message with this transaction; see [`Tx::publish`](crate::Tx::publish).
    pub async fn publish(&self, target: &str, body: &(impl Serialize + ?Sized)) -> Result<i64, Fault> {
        self.publish_with(Publish::to(target), body).await
    }

    /// Publishes a request to its method; see [`Tx::publish_request`](crate::Tx::publish_request).
    pub async fn publish_request<M: Method + Serialize>(&self, request: &M) -> Result<i64, Fault> {
        self.publish(M::TARGET, request).await
    }

    /// Publishes with other than the usual timeout, headers or protocol.
    pub async fn publish_with(
        &self,
        message: Publish<'_>,
        body: &(impl Serialize + ?Sized),
    ) -> Result<i64, Fault> {
        // A new chain: a service that goes on asking with each answer does so on purpose.
        message.send(&self.told.app, &self.told.statements, body, 0).await
    }

    /// The row in this service's outbox.
    pub fn id(&self) -> i64 {
        self.told.id
    }

    /// The identity of the message.
    pub fn uid(&self) -> Uid {
        self.told.uid
    }

    /// The target of the message.
    pub fn target(&self) -> &Target {
        &self.told.target
    }

    /// The number of attempts.
    pub fn attempts(&self) -> i32 {
        self.told.attempts
    }

    /// The copy that answered: `analytic/1.0/1`.
    pub fn responder(&self) -> Option<&str> {
        self.told.responder.as_deref()
    }

    /// The label of the row (`reply_to`), to which the reply is published when it is committed.
    pub fn reply_to(&self) -> Option<&str> {
        self.told.reply_to.as_deref()
    }

    /// The span of this handler, as parent for others.
    pub fn span(&self) -> TraceParent {
        self.told.span
    }

    /// See [`Ctx::setting`](crate::Ctx::setting).
    pub fn setting(&self, key: &str) -> &str {
        self.told.app.setting(key)
    }
}

impl<S> Deref for ReplyCtx<S> {
    type Target = Statements;

    fn deref(&self) -> &Statements {
        &self.told.statements
    }
}
