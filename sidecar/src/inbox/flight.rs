//! Messages at work in this copy, so that a repeat joins the run there is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tpro_wire::Uid;

/// Repeats of one message that may wait for its answer; the requester needs one of them.
const MOST_JOINED: usize = 16;

/// Messages at work, each with those who wait for the answer.
pub(crate) struct Flight<J>(Mutex<HashMap<Uid, Vec<J>>>);

/// A message at work; it ends when this is dropped.
pub(crate) struct Boarded<J> {
    flight: Arc<Flight<J>>,
    uid: Uid,
}

impl<J> Default for Flight<J> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<J> Flight<J> {
    /// Begins the work on a message. If it is at work already, `joins` waits with it, and `None` comes back.
    pub(crate) fn board(self: &Arc<Self>, uid: Uid, joins: impl FnOnce() -> J) -> Option<Boarded<J>> {
        let mut at_work = self.lock();
        if let Some(joined) = at_work.get_mut(&uid) {
            if joined.len() < MOST_JOINED {
                joined.push(joins());
            }
            return None;
        }
        at_work.insert(uid, Vec::new());
        Some(Boarded { flight: self.clone(), uid })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uid, Vec<J>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J> Boarded<J> {
    /// Ends the work; those who have joined are to be answered.
    pub(crate) fn leave(self) -> Vec<J> {
        self.flight.lock().remove(&self.uid).unwrap_or_default()
    }
}

impl<J> Drop for Boarded<J> {
    fn drop(&mut self) {
        self.flight.lock().remove(&self.uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_joins_the_run_there_is_and_none_is_forgotten() {
        let flight = Arc::new(Flight::default());
        let uid = Uid::v7(1, [1; 10]);
        let first = flight.board(uid, || "first").unwrap();
        assert!(flight.board(uid, || "second").is_none());
        for _ in 0..100 {
            assert!(flight.board(uid, || "more").is_none());
        }
        assert_eq!(first.leave().len(), MOST_JOINED);
        let again = flight.board(uid, || "again").unwrap();
        drop(again);
        assert!(flight.lock().is_empty());
    }
}
