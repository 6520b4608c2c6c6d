//! The functions that can handle a reply.

use std::future::Future;

use serde::de::DeserializeOwned;

use super::{
    Failure, HandlerResult, ReplyCtx, body,
    way::{Reaction, Running},
};

/// A handler of replies: `async fn(ReplyCtx<S>, B) -> Result<(), E>`, where `B` is the reply of the
/// method, or a [`Failure`].
///
/// ```
/// # use tpro_service as tpro_sidecar;
/// use tpro_sidecar::{Failure, Fault, OnReply, ReplyCtx};
///
/// async fn sent(_: ReplyCtx, number: i64) -> Result<(), Fault> {
///     if number > 0 { Ok(()) } else { Err(Fault::internal("a mail without a number")) }
/// }
///
/// async fn not_sent(_: ReplyCtx, _: Failure) -> Result<(), Fault> {
///     Ok(())
/// }
///
/// fn handles<B>(_: impl OnReply<(), B>) {}
/// handles::<i64>(sent);
/// handles::<Failure>(not_sent);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot handle this reply",
    label = "not an `async fn(ReplyCtx<{S}>, {B}) -> Result<(), E>`",
    note = "a reply handler takes the `ReplyCtx` of its service and the reply of the method, or a `Failure`"
)]
pub trait OnReply<S, B>: Send + Sync + 'static {
    /// Runs it.
    #[doc(hidden)]
    fn run(&self, ctx: ReplyCtx<S>, body: B) -> Running<()>;
}

impl<F, S, B, Fut, O> OnReply<S, B> for F
where
    F: Fn(ReplyCtx<S>, B) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = O> + Send + 'static,
    O: HandlerResult<Reply = ()>,
{
    fn run(&self, ctx: ReplyCtx<S>, body: B) -> Running<()> {
        let running = self(ctx, body);
        Box::pin(async move { running.await.into_result() })
    }
}

/// Takes the types off the two handlers of a target's replies.
pub(super) fn reaction<S: 'static, B: DeserializeOwned + 'static>(
    ok: impl OnReply<S, B>,
    failed: impl OnReply<S, Failure>,
) -> Reaction {
    Reaction {
        ok: Box::new(move |context, json| match body::read::<B>(json) {
            Ok(body) => ok.run(ReplyCtx::typed(context), body),
            Err(fault) => Box::pin(std::future::ready(Err(fault))),
        }),
        failed: Box::new(move |context, failure| failed.run(ReplyCtx::typed(context), failure)),
    }
}
