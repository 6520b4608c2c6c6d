//! The replies that the dispatcher settles go to the reply handlers of the service.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use tpro_dispatcher::{NotWritten, ReplyHandlers};
use tpro_runtime::settlement::Settlement;
use tpro_service::{
    handler::{Handlers, reply},
    host::Host,
};
use tpro_wire::target::Target;

/// The reply handlers of a service that runs.
pub(super) struct Replies {
    pub(super) host: Host,
    pub(super) handlers: Arc<Handlers>,
}

impl ReplyHandlers for Replies {
    fn has(&self, target: &Target) -> bool {
        self.handlers.has_reply_handler(target)
    }

    fn settle(
        &self,
        settlement: Settlement,
        leader: Option<i32>,
    ) -> BoxFuture<'static, Result<bool, NotWritten>> {
        let (host, handlers) = (self.host.clone(), self.handlers.clone());
        async move {
            let settled = reply::settle(&host, &handlers, settlement, leader).await;
            settled.map_err(|error| NotWritten { passes: error.is_passing(), why: error.to_string() })
        }
        .boxed()
    }
}
