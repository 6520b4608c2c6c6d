//! Reply handlers at work.

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    Context,
    core::{Handled, HandlerEnd, Handling},
};

/// The reply handlers at work.
pub(crate) struct Handlers {
    at_work: FuturesUnordered<BoxFuture<'static, Handled>>,
    /// Ends with the leadership.
    leading: CancellationToken,
    _leading: DropGuard,
    /// The backend of the session that leads.
    pid: i32,
}

impl Handlers {
    /// None yet, for a leader on the session of this backend.
    pub(crate) fn new(pid: i32) -> Self {
        let leading = CancellationToken::new();
        Self { at_work: FuturesUnordered::new(), _leading: leading.clone().drop_guard(), leading, pid }
    }

    /// True if none is at work.
    pub(crate) fn is_empty(&self) -> bool {
        self.at_work.is_empty()
    }

    /// The next that has ended.
    pub(crate) async fn next(&mut self) -> Option<Handled> {
        self.at_work.next().await
    }

    /// Has an outcome written with its reply handler.
    pub(crate) fn begin(&mut self, app: &Context, handling: Handling) {
        let Handling { place, settled, by_leader } = handling;
        let (replies, settlement, leading) =
            (app.replies.clone(), settled.settlement.clone(), self.leading.clone());
        let leader = by_leader.then_some(self.pid);
        let task = app.stop.tasks.spawn(async move {
            let settle = replies.settle(settlement, leader);
            tokio::select! {
                result = settle => Some(result),
                () = leading.cancelled(), if by_leader => None,
            }
        });
        self.at_work.push(
            async move {
                let end = match task.await {
                    Ok(Some(Ok(true))) => HandlerEnd::Written,
                    Ok(Some(Err(error))) if error.passes => HandlerEnd::Again,
                    Ok(Some(Err(error))) => {
                        let uid = settled.settlement.uid;
                        tracing::warn!(message.id = %uid, "a reply was not written with its handler ({}); it is written without", error.why);
                        HandlerEnd::Unwritten
                    }
                    Ok(Some(Ok(false)) | None) => HandlerEnd::Unwritten,
                    Err(_) => {
                        tracing::error!(message.id = %settled.settlement.uid, "a reply handler's task panicked; the reply is written without it");
                        HandlerEnd::Unwritten
                    }
                };
                Handled { place, settled, end }
            }
            .boxed(),
        );
    }
}
