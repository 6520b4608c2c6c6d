//! Messages at work in this copy, so that a repeat joins the run there is.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tpro_wire::Uid;

use super::{
    question::Question,
    verdict::{Refusal, meet},
};

/// Repeats of one message that may wait for its answer; the requester needs one of them.
const MOST_JOINED: usize = 16;

/// Messages at work, each with those who wait for the answer.
pub(crate) struct Flight<J>(Mutex<HashMap<Uid, AtWork<J>>>);

struct AtWork<J> {
    question: Arc<Question>,
    /// The inbox has taken the message.
    is_taken: bool,
    joined: Vec<J>,
}

/// A message at work; it ends when this is dropped.
pub(crate) struct Boarded<J> {
    flight: Arc<Flight<J>>,
    uid: Uid,
}

/// The fate of a message that comes.
pub(crate) enum Boarding<J> {
    /// Its work begins.
    Begun(Boarded<J>),
    /// It is at work already, and the repeat waits with it.
    Joined,
    /// Another question is at work under its uid.
    Refused(Refusal),
}

impl<J> Default for Flight<J> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<J> Flight<J> {
    /// Begins the work on a message. If it is at work already, `joins` waits with it.
    pub(crate) fn board(
        self: &Arc<Self>,
        question: &Arc<Question>,
        joins: impl FnOnce() -> J,
    ) -> Boarding<J> {
        let mut flight = self.lock();
        match flight.entry(question.uid) {
            Entry::Occupied(mut entry) => {
                let at_work = entry.get_mut();
                let is_repeat = question.repeats(&at_work.question.as_first());
                if let Some(refusal) = meet(is_repeat, at_work.is_taken) {
                    return Boarding::Refused(refusal);
                }
                if at_work.joined.len() < MOST_JOINED {
                    at_work.joined.push(joins());
                }
                Boarding::Joined
            }
            Entry::Vacant(entry) => {
                entry.insert(AtWork { question: question.clone(), is_taken: false, joined: Vec::new() });
                Boarding::Begun(Boarded { flight: self.clone(), uid: question.uid })
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uid, AtWork<J>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J: Clone> Boarded<J> {
    /// Those who have joined so far.
    pub(crate) fn joined(&self) -> Vec<J> {
        self.flight.lock().get(&self.uid).map(|at_work| at_work.joined.clone()).unwrap_or_default()
    }
}

impl<J> Boarded<J> {
    /// The inbox has taken the message.
    pub(crate) fn is_taken(&self) {
        if let Some(at_work) = self.flight.lock().get_mut(&self.uid) {
            at_work.is_taken = true;
        }
    }

    /// Ends the work; those who have joined are to be answered.
    pub(crate) fn leave(self) -> Vec<J> {
        self.flight.lock().remove(&self.uid).map(|at_work| at_work.joined).unwrap_or_default()
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

    fn begun<J>(boarding: Boarding<J>) -> Option<Boarded<J>> {
        match boarding {
            Boarding::Begun(boarded) => Some(boarded),
            _ => None,
        }
    }

    #[test]
    fn a_repeat_joins_the_run_there_is_and_none_is_forgotten() {
        let flight = Arc::new(Flight::default());
        let question = Arc::new(Question::sample("{}"));
        let first = begun(flight.board(&question, || "first")).unwrap();
        assert!(matches!(flight.board(&question, || "second"), Boarding::Joined));
        assert_eq!(first.joined(), ["second"]);
        for _ in 0..100 {
            assert!(matches!(flight.board(&question, || "more"), Boarding::Joined));
        }
        assert_eq!(first.leave().len(), MOST_JOINED);
        drop(begun(flight.board(&question, || "again")).unwrap());
        assert!(flight.lock().is_empty());
    }

    #[test]
    fn another_question_under_the_same_uid_joins_nothing() {
        let flight = Arc::new(Flight::default());
        let first = begun(flight.board(&Arc::new(Question::sample("{}")), || "first")).unwrap();
        let other = Arc::new(Question::sample("[]"));
        assert!(matches!(flight.board(&other, || "other"), Boarding::Refused(Refusal::Unsure)));
        first.is_taken();
        assert!(matches!(flight.board(&other, || "other"), Boarding::Refused(Refusal::Mismatch)));
        assert_eq!(first.leave().len(), 0);
        assert!(begun(flight.board(&other, || "other")).is_some());
    }
}
