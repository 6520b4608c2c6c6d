//! The context of a reply handler.

use std::{ops::Deref, sync::Arc};

use serde::Serialize;
use tpro_wire::{RpcError, Status, Target, TraceParent, Uid};

use super::{Fault, Publish, Statements};
use crate::host::Host;

/// The context of a reply handler: the transaction that writes the reply, and the message that it
/// belongs to.
///
/// Statements ([`Statements`]) and [`ReplyCtx::publish`] work in that transaction, behind a
/// savepoint. If the handler fails, its part is undone, and the reply is kept.
pub struct ReplyCtx {
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
#[derive(Clone, Debug)]
pub struct Failure {
    /// The end of the message; never `ok`.
    pub status: Status,
    /// The reason.
    pub error: RpcError,
}

impl ReplyCtx {
    /// Publishes a message with this transaction; see [`Tx::publish`](crate::Tx::publish).
    pub async fn publish(&self, target: &str, body: &(impl Serialize + ?Sized)) -> Result<i64, Fault> {
        self.publish_with(Publish::to(target), body).await
    }

    /// Publishes with other than the usual timeout, headers or protocol.
    pub async fn publish_with(
        &self,
        message: Publish<'_>,
        body: &(impl Serialize + ?Sized),
    ) -> Result<i64, Fault> {
        // A new chain: a service that goes on asking with each answer does so on purpose.
        message.send(&self.app, &self.statements, body, 0).await
    }

    /// The row in this service's outbox.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// The identity of the message.
    pub fn uid(&self) -> Uid {
        self.uid
    }

    /// The target of the message.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The number of attempts.
    pub fn attempts(&self) -> i32 {
        self.attempts
    }

    /// The copy that answered: `analytic/1.0/1`.
    pub fn responder(&self) -> Option<&str> {
        self.responder.as_deref()
    }

    /// The label of the row (`reply_to`), to which the reply is published when it is committed.
    pub fn reply_to(&self) -> Option<&str> {
        self.reply_to.as_deref()
    }

    /// The span of this handler, as parent for others.
    pub fn span(&self) -> TraceParent {
        self.span
    }

    /// See [`Ctx::setting`](crate::Ctx::setting).
    pub fn setting(&self, key: &str) -> &str {
        self.app.setting(key)
    }
}

impl Deref for ReplyCtx {
    type Target = Statements;

    fn deref(&self) -> &Statements {
        &self.statements
    }
}
