//! A handler's transaction.

use std::{
    ops::Deref,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use tpro_wire::{Source, Target, TraceParent, Uid};

use super::{Fault, Publish, Statements, scope::Scope};

/// A handler's transaction: statements ([`Statements`]) and [`Tx::publish`], but no call of another
/// service.
///
/// The framework ends it: it commits when the handler returns `Ok`, and rolls back when it returns
/// an error. A `Tx` that outlives its handler refuses every statement.
pub struct Tx {
    scope: Arc<Scope>,
    statements: Arc<Statements>,
}

impl Tx {
    pub(crate) fn new(scope: Arc<Scope>, statements: Arc<Statements>) -> Self {
        scope.set_tx(statements.clone());
        Self { scope, statements }
    }

    /// Publishes a message on behalf of this service, with this transaction:
    /// `tx.publish("billing.invoice.create", &body).await?`. Returns its id in the outbox. The
    /// target is as in [`Ctx::call`](crate::Ctx::call).
    pub async fn publish(&self, target: &str, body: &(impl Serialize + ?Sized)) -> Result<i64, Fault> {
        self.publish_with(Publish::to(target), body).await
    }

    /// Publishes with other than the usual timeout, headers or protocol.
    pub async fn publish_with(
        &self,
        message: Publish<'_>,
        body: &(impl Serialize + ?Sized),
    ) -> Result<i64, Fault> {
        message.send(&self.scope.app, &self.statements, body, self.scope.hops.saturating_add(1)).await
    }

    /// See [`Ctx::uid`](crate::Ctx::uid).
    pub fn uid(&self) -> Uid {
        self.scope.uid
    }

    /// See [`Ctx::target`](crate::Ctx::target).
    pub fn target(&self) -> &Target {
        &self.scope.target
    }

    /// See [`Ctx::attempt`](crate::Ctx::attempt).
    pub fn attempt(&self) -> u32 {
        self.scope.attempt
    }

    /// See [`Ctx::source`](crate::Ctx::source).
    pub fn source(&self) -> Option<&Source> {
        self.scope.source.as_ref()
    }

    /// See [`Ctx::deadline`](crate::Ctx::deadline).
    pub fn deadline(&self) -> Instant {
        self.scope.deadline.into_std()
    }

    /// See [`Ctx::remaining`](crate::Ctx::remaining).
    pub fn remaining(&self) -> Duration {
        self.scope.deadline.saturating_duration_since(tokio::time::Instant::now())
    }

    /// See [`Ctx::language`](crate::Ctx::language).
    pub fn language(&self) -> Option<&str> {
        self.scope.language()
    }

    /// See [`Ctx::headers`](crate::Ctx::headers).
    pub fn headers(&self) -> Option<&str> {
        self.scope.headers.as_deref()
    }

    /// See [`Ctx::span`](crate::Ctx::span).
    pub fn span(&self) -> TraceParent {
        self.scope.span
    }

    /// See [`Ctx::setting`](crate::Ctx::setting).
    pub fn setting(&self, key: &str) -> &str {
        self.scope.app.setting(key)
    }
}

impl Deref for Tx {
    type Target = Statements;

    fn deref(&self) -> &Statements {
        &self.statements
    }
}
