//! The context of a handler.

use std::{
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Serialize, de::DeserializeOwned};
use tpro_wire::{Source, Target, TraceParent, Uid};

use super::{
    CallError, Method, QueryError, Statements, Tx, body, call::Call, scope::Scope,
    transaction::INBOX_PATIENCE, whole,
};

/// The context of a handler: the message that it answers, the database, other services, and the
/// state of the service.
///
/// All of it may be used several times at once (`try_join!`): each [`Ctx::db`] is a connection of
/// its own. `S` is the type of the state; a service without one has none to name.
///
/// ```
/// # use tpro_service as tpro_sidecar;
/// use tpro_sidecar::{AnyBody, CallError, Ctx, Fault};
///
/// async fn price(ctx: Ctx, order: AnyBody) -> Result<(i64, i64), Fault> {
///     let net = async { ctx.call("price.net.get", &order).await.map_err(CallError::into_fault) };
///     let tax = async {
///         let row = ctx.db().await?.query_one("SELECT percent FROM tax", &[]).await?;
///         Ok::<i64, Fault>(row.try_get(0)?)
///     };
///     tokio::try_join!(net, tax)
/// }
/// ```
pub struct Ctx<S = ()>(Arc<Scope>, PhantomData<fn() -> S>);

/// The result of a call, to come.
pub type Calling<R> = Pin<Box<dyn Future<Output = Result<R, CallError>> + Send>>;

impl Ctx {
    pub(crate) fn new(scope: Arc<Scope>) -> Self {
        Self(scope, PhantomData)
    }
}

impl<S: 'static> Ctx<S> {
    /// The state of the service, made once at its start: see
    /// [`Service::with_state`](crate::Service::with_state).
    pub fn state(&self) -> &S {
        self.0.app.state.get()
    }
}

impl<S> Ctx<S> {
    pub(crate) fn typed(ctx: Ctx) -> Self {
        Self(ctx.0, PhantomData)
    }

    pub(super) fn scope(&self) -> &Arc<Scope> {
        &self.0
    }

    /// A connection of the pool. Statements on it run one after the other, each committed by
    /// itself. Two statements that shall run at one time take two connections. It goes back to the
    /// pool when it is dropped; do that before a call of another service, which may lead back to
    /// this one and need a connection there.
    ///
    /// ```
    /// # use tpro_service as tpro_sidecar;
    /// use tpro_sidecar::{AnyBody, Ctx, Fault};
    ///
    /// async fn free_seats(ctx: Ctx, _: AnyBody) -> Result<i64, Fault> {
    ///     let row = ctx.db().await?.query_one("SELECT count(*) FROM seats", &[]).await?;
    ///     Ok(row.try_get(0)?)
    /// }
    /// ```
    pub async fn db(&self) -> Result<Statements, QueryError> {
        Statements::take(&self.0.app, self.0.priority, self.0.span).await
    }

    /// Calls another service and waits for its result: `ctx.call::<Sums>("co.example.sums",
    /// &body).await?`.
    ///
    /// The target is `<service>.<entity>.<method_name>`, or with another space than our own in
    /// front. The body is a JSON object or array. The call may use up to 95 % of the time that is
    /// left.
    ///
    /// Its uid is made from this message's uid, the target, and its number among the calls of this
    /// handler, in the order in which `call` is called. So a handler that runs again makes its
    /// calls under their old uids, and the other service knows them as repeats. So call in an order
    /// that does not depend on chance.
    ///
    /// The call is put on record in this service's outbox and replies when the handler is over.
    ///
    /// ```
    /// # use tpro_service as tpro_sidecar;
    /// use tpro_sidecar::{AnyBody, CallError, Ctx, Fault};
    ///
    /// async fn price(ctx: Ctx, order: AnyBody) -> Result<u64, Fault> {
    ///     let net = ctx.call::<u64>("stock.price.net", &order).await;
    ///     let net = net.map_err(CallError::into_fault)?;
    ///     Ok(net + net / 5)
    /// }
    /// ```
    pub fn call<R: DeserializeOwned + 'static>(
        &self,
        target: &str,
        body: &(impl Serialize + ?Sized),
    ) -> Calling<R> {
        // All that depends on the order of calls happens here, not when the future is first polled.
        let ordinal = self.0.next_ordinal();
        let call = self.prepare(target, ordinal, body);
        Box::pin(async move {
            let result = call?.run().await?;
            whole::from_str(result.get()).map_err(CallError::Misfit)
        })
    }

    /// Calls the method of a request: `let session = ctx.call_request(&Login { .. }).await?`. The
    /// request's type names the target and the result; all else is as in [`Ctx::call`].
    pub fn call_request<M>(&self, request: &M) -> Calling<M::Reply>
    where
        M: Method + Serialize,
        M::Reply: DeserializeOwned + 'static,
    {
        self.call(M::TARGET, request)
    }

    /// Begins the handler's transaction. This uses up the `Ctx`, so that no transaction is open
    /// while one waits on another service.
    ///
    /// It is committed when the handler returns `Ok`, and rolled back when it returns an error. In
    /// the default way it commits together with the outcome, so that its effects happen once. All
    /// requests of a batch work in one transaction: the first of them that wants one opens it, and
    /// it stays open while the others call.
    ///
    /// ```
    /// # use tpro_service as tpro_sidecar;
    /// use tpro_sidecar::{AnyBody, Ctx, Fault};
    ///
    /// async fn book(ctx: Ctx, order: AnyBody) -> Result<(), Fault> {
    ///     let price: i64 = ctx.call("stock.price.net", &order).await?;
    ///     let tx = ctx.tx().await?;
    ///     tx.execute("INSERT INTO bills (price) VALUES ($1)", &[&price]).await?;
    ///     tx.publish("mail.bill.send", &order).await?;
    ///     Ok(())
    /// }
    /// ```
    pub async fn tx(self) -> Result<Tx<S>, QueryError> {
        let scope = self.0;
        if let Some(statements) = scope.open_tx() {
            return Ok(Tx::typed(Tx::new(scope, statements)));
        }
        let left = scope.deadline.saturating_duration_since(tokio::time::Instant::now());
        let statements =
            Statements::begin_entered(&scope.app, scope.priority, scope.span, left, INBOX_PATIENCE).await?;
        Ok(Tx::typed(Tx::new(scope, Arc::new(statements))))
    }

    /// The identity of the message. It stays the same in every run, and so it is the key by which
    /// effects outside the database can be done once. All requests of a batch have the uid of their
    /// message.
    pub fn uid(&self) -> Uid {
        self.0.uid
    }

    /// The target of the message: `tpro.analytic.example.simple`.
    pub fn target(&self) -> &Target {
        &self.0.target
    }

    /// The number of the requester's attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// The requester; `None` for a stranger.
    pub fn source(&self) -> Option<&Source> {
        self.0.source.as_ref()
    }

    /// The moment at which the handler is stopped.
    pub fn deadline(&self) -> Instant {
        self.0.deadline.into_std()
    }

    /// The time until then.
    pub fn remaining(&self) -> Duration {
        self.0.deadline.saturating_duration_since(tokio::time::Instant::now())
    }

    /// The language the reply should speak, as in `ru-RU`.
    pub fn language(&self) -> Option<&str> {
        self.0.language()
    }

    /// The headers of the requester's row, JSON text of an object.
    pub fn headers(&self) -> Option<&str> {
        self.0.headers.as_deref()
    }

    /// The span of this handler, as parent for others.
    pub fn span(&self) -> TraceParent {
        self.0.span
    }

    /// A setting that the service has declared by [`Service::setting`](crate::Service::setting):
    /// from the environment, the `.env` file, or its default. Empty if it was not declared.
    pub fn setting(&self, key: &str) -> &str {
        self.0.app.setting(key)
    }

    fn prepare(
        &self,
        target: &str,
        ordinal: u32,
        body: &(impl Serialize + ?Sized),
    ) -> Result<Call, CallError> {
        let target = self.target_of(target)?;
        let mut body = body::raw(body).map_err(|error| CallError::Body(Some(error)))?;
        match body.get().as_bytes().first() {
            Some(b'{' | b'[') => {}
            // `()`: no body at all.
            Some(b'n') => {
                body = body::raw(&serde_json::json!({})).map_err(|error| CallError::Body(Some(error)))?
            }
            _ => return Err(CallError::Body(None)),
        }
        Call::new(self.0.clone(), target, ordinal, body)
    }

    fn target_of(&self, text: &str) -> Result<Target, CallError> {
        // Three tokens leave out the space.
        match text.matches('.').count() {
            2 => Ok(Target::parse(&format!("{}.{text}", self.0.app.config.space))?),
            _ => Ok(Target::parse(text)?),
        }
    }
}
