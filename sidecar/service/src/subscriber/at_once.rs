//! The places of a method that has a limit of handlers at work at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Messages that may wait for each place.
const WAITING: usize = 4;

/// The places of a method.
#[derive(Clone)]
pub(super) struct AtOnce {
    places: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl AtOnce {
    /// So many places.
    pub(super) fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), waiting: Arc::new(Semaphore::new(places * WAITING)) }
    }

    /// A place, if one is free.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().try_acquire_owned().ok()
    }

    /// The right to wait for a place, if not too many do.
    pub(super) fn wait(&self) -> Option<OwnedSemaphorePermit> {
        self.waiting.clone().try_acquire_owned().ok()
    }

    /// The next place that is free.
    pub(super) async fn next_place(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().acquire_owned().await.ok()
    }
}
