//! A handler's transaction.

use std::{
    marker::PhantomData,
    ops::Deref,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use tpro_wire::{Source, Target, TraceParent, Uid};

use super::{Fault, Method, Publish, Statements, scope::Scope};

/// A handler's transaction: statements ([`Statements`]) and [`Tx::publish`], but no call of another
/// service.
///
/// The framework ends it: it commits when the handler returns `Ok`, and rolls back when it returns
/// an error. A `Tx` that outlives its handler refuses every statement.
///
/// `S` is the type of the service's state; a service without one has none to name.
///
/// ```
/// # use tpro_service as tpro_sidecar;
/// use tpro_sidecar::{AnyBody, Fault, Tx};
///
/// async fn pay(tx: Tx, bill: AnyBody) -> Result<i64, Fault> {
///     tx.execute("UPDATE bills SET paid = true WHERE message = $1", &[&tx.uid().uuid()]).await?;
///     tx.publish("mail.receipt.send", &bill).await
/// }
/// ```
pub struct Tx<S = ()> {
    scope: Arc<Scope>,
    statements: Arc<Statements>,
    state: PhantomData<fn() -> S>,
}

impl Tx {
    pub(crate) fn new(scope: Arc<Scope>, statements: Arc<Statements>) -> Self {
        scope.set_tx(statements.clone());
        Self { scope, statements, state: PhantomData }
    }
}

impl<S: 'static> Tx<S> {
    /// See [`Ctx::state`](crate::Ctx::state).
    pub fn state(&self) -> &S {
        self.scope.app.state.get()
    }
}

impl<S> Tx<S> {
    pub(crate) fn typed(tx: Tx) -> Self {
        Self { scope: tx.scope, statements: tx.statements, state: PhantomData }
    }

    pub(super) fn scope(&self) -> &Arc<Scope> {
        &self.scope
    }

    /// Publishes a message on behalf of this service, with this transaction:
    /// `tx.publish("billing.invoice.create", &body).await?`. Returns its id in the outbox. The
    /// target is as in [`Ctx::call`](crate::Ctx::call).
    pub async fn publish(&self, target: &str, body: &(impl Serialize + ?Sized)) -> Result<i64, Fault> {
        self.publish_with(Publish::to(target), body).await
    }

    /// Publishes a request to its method: `tx.publish_request(&Login { .. }).await?`. The request's
    /// type names the target; all else is as in [`Tx::publish`].
    pub async fn publish_request<M: Method + Serialize>(&self, request: &M) -> Result<i64, Fault> {
        self.publish(M::TARGET, request).await
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

impl<S> Deref for Tx<S> {
    type Target = Statements;

    fn deref(&self) -> &Statements {
        &self.statements
    }
}
