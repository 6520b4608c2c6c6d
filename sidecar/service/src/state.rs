//! The state of a service without its type.

use std::{any::Any, sync::Arc};

/// The state of a service, which its handlers know by its type. Cheap to clone.
#[derive(Clone)]
pub struct State(Arc<dyn Any + Send + Sync>);

impl State {
    /// Wraps a state.
    pub fn new<S: Send + Sync + 'static>(state: S) -> Self {
        Self(Arc::new(state))
    }

    /// The state by its type. The handlers of a service are registered with the type of its state,
    /// so it has no other.
    pub(crate) fn get<S: 'static>(&self) -> &S {
        let state = self.0.downcast_ref();
        state.unwrap_or_else(|| unreachable!("the state of a service has the type of its handlers"))
    }
}
