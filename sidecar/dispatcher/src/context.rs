//! The things that all parts of the dispatcher need.

use std::{ops::Deref, sync::Arc};

use tpro_runtime::app::App;

use super::{ReplyHandlers, metrics::Counts};

/// The ground, what the dispatcher counts, and the handlers of replies. Made once by `boot`.
#[derive(Clone)]
pub struct Context {
    /// The ground.
    pub app: App,
    /// The counters and gauges of the dispatcher.
    pub counts: Counts,
    /// The handlers of replies.
    pub replies: Arc<dyn ReplyHandlers>,
}

impl Deref for Context {
    type Target = App;

    fn deref(&self) -> &App {
        &self.app
    }
}
