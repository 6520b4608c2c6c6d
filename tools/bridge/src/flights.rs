//! The requests of tpro that a Go service is asked for, by their uids.
//!
//! The Go system does not know repeats: each request that it gets is a run. So a repeat of a
//! request in hand is not carried, and one of a request that was just answered gets the answer
//! again: the requester has lost it, with its connection for one.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_nats::Subject;
use bytes::Bytes;
use tpro_wire::{RequestHeaders, Uid, message_key};

/// The time that an answer is kept.
const KEPT: Duration = Duration::from_secs(60);
/// The bytes of all answers that are kept.
const KEPT_BYTES: usize = 32 * 1024 * 1024;

/// The right to a message: its target, and the proof that only its sender has. A sender without
/// one shows the body in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof(String);

impl Proof {
    /// The proof that is in a request.
    pub fn of(subject: &str, headers: &RequestHeaders, payload: &[u8]) -> Self {
        let shown = match &headers.key {
            Some(key) => key.encode(&mut [0; message_key::TEXT_LEN]).to_owned(),
            // The hash is told to other copies, so it must be the same there.
            None => format!("{:016x}", BuildHasherDefault::<DefaultHasher>::default().hash_one(payload)),
        };
        Self(format!("{subject} {shown}"))
    }

    /// A proof from its text.
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Its text. It holds a secret.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// An answer, as it was published.
#[derive(Clone, Debug)]
pub struct Said {
    /// The payload.
    pub payload: Bytes,
    /// True if it is an error in the form of protocol `json`, which a header says.
    pub failed: bool,
}

/// The state of a uid.
#[derive(Debug)]
pub enum Found {
    /// It was not known, and is in hand from now on.
    New,
    /// It is in hand. The answer will go to the latest reply subject.
    Working,
    /// It was answered.
    Answered(Said),
    /// It is known, and this is not the message.
    Another,
}

struct Flight {
    proof: Proof,
    reply: Option<Subject>,
    said: Option<(Instant, Said)>,
}

#[derive(Default)]
struct Table {
    flights: HashMap<Uid, Flight>,
    bytes: usize,
}

/// All of them.
#[derive(Default)]
pub struct Flights(Mutex<Table>);

impl Flights {
    /// Looks a message up. One that is not known is in hand from now on.
    pub fn take(&self, uid: &Uid, proof: &Proof, reply: Option<&Subject>) -> Found {
        if let Some(found) = self.find(uid, proof, reply) {
            return found;
        }
        let flight = Flight { proof: proof.clone(), reply: reply.cloned(), said: None };
        self.lock().flights.insert(*uid, flight);
        Found::New
    }

    /// Looks a message up. None if it is not known here.
    pub fn find(&self, uid: &Uid, proof: &Proof, reply: Option<&Subject>) -> Option<Found> {
        let mut table = self.lock();
        table.forget_old();
        let flight = table.flights.get_mut(uid)?;
        if flight.proof != *proof {
            return Some(Found::Another);
        }
        if let Some((_, said)) = &flight.said {
            return Some(Found::Answered(said.clone()));
        }
        if let Some(reply) = reply {
            flight.reply = Some(reply.clone());
        }
        Some(Found::Working)
    }

    /// The latest reply subject of a message in hand.
    pub fn reply(&self, uid: &Uid) -> Option<Subject> {
        self.lock().flights.get(uid)?.reply.clone()
    }

    /// A message was answered. Returns the subject that waits for it.
    pub fn answered(&self, uid: &Uid, said: Said) -> Option<Subject> {
        let mut table = self.lock();
        let size = said.payload.len();
        let flight = table.flights.get_mut(uid)?;
        flight.said = Some((Instant::now(), said));
        let reply = flight.reply.clone();
        table.bytes += size;
        if table.bytes > KEPT_BYTES {
            table.forget_all_answers_but(uid);
        }
        reply
    }

    /// A message is no longer in hand, and was not answered.
    pub fn forget(&self, uid: &Uid) {
        self.lock().flights.remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Forgets the answers whose time is over, now and then.
    fn forget_old(&mut self) {
        // A look at all of them costs as many steps as there were new ones since the last look.
        if self.flights.len() < self.flights.capacity() {
            return;
        }
        let now = Instant::now();
        self.retain(|_, said| now < said + KEPT);
    }

    fn forget_all_answers_but(&mut self, last: &Uid) {
        self.retain(|uid, _| uid == last);
    }

    /// Keeps what is in hand, and the answers that `keeps` names.
    fn retain(&mut self, keeps: impl Fn(&Uid, Instant) -> bool) {
        let mut bytes = 0;
        self.flights.retain(|uid, flight| match &flight.said {
            None => true,
            Some((at, said)) => {
                let kept = keeps(uid, *at);
                bytes += if kept { said.payload.len() } else { 0 };
                kept
            }
        });
        self.bytes = bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(payload: &[u8]) -> Proof {
        Proof::of("tpro.co.example.simple", &RequestHeaders::default(), payload)
    }

    #[test]
    fn a_repeat_finds_what_came_of_the_message_and_a_stranger_nothing() {
        let flights = Flights::default();
        let uid = Uid::v7(1, [1; 10]);
        let (one, two) = (Subject::from("one"), Subject::from("two"));
        assert!(matches!(flights.take(&uid, &proof(b"a"), Some(&one)), Found::New));
        assert!(matches!(flights.take(&uid, &proof(b"b"), Some(&two)), Found::Another));
        assert_eq!(flights.reply(&uid), Some(one));
        assert!(matches!(flights.take(&uid, &proof(b"a"), Some(&two)), Found::Working));
        let said = Said { payload: Bytes::from_static(b"7"), failed: false };
        assert_eq!(flights.answered(&uid, said), Some(two.clone()));
        let again = flights.take(&uid, &proof(b"a"), Some(&two));
        assert!(matches!(again, Found::Answered(said) if said.payload == "7"));
        assert!(matches!(flights.take(&uid, &proof(b"b"), Some(&two)), Found::Another));
        flights.forget(&uid);
        assert!(flights.find(&uid, &proof(b"a"), None).is_none());
    }

    #[test]
    fn answers_are_kept_up_to_a_number_of_bytes() {
        let flights = Flights::default();
        let uid = |n: u8| Uid::v7(1, [n; 10]);
        let large = Bytes::from(vec![b'x'; KEPT_BYTES / 2 + 1]);
        for n in 0..3 {
            assert!(matches!(flights.take(&uid(n), &proof(b"a"), None), Found::New));
            flights.answered(&uid(n), Said { payload: large.clone(), failed: false });
        }
        assert!(flights.find(&uid(1), &proof(b"a"), None).is_none());
        assert!(flights.find(&uid(2), &proof(b"a"), None).is_some());
    }
}
