//! The book of a run: what was published, and what became of it, seen from outside.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    ASK_TIME,
    names::places,
    plan::{Letter, Way},
};
use crate::{
    postgres::{Hold, SessionId},
    time::Time,
};

/// An outcome that meets a lock of an operator on the holds of its key is written so much later.
const LOCKED: Duration = Duration::from_millis(1_200);
/// The longest time between the moment at which a commit is seen and its end.
pub const SHOWN: Duration = Duration::from_millis(200);

/// The fate of a message.
#[derive(Clone, Debug)]
pub struct Fate {
    /// The service that has published it.
    pub service: usize,
    /// The transaction of the plan; none for a message of the end.
    pub transaction: Option<usize>,
    /// The message.
    pub letter: Letter,
    /// When it is to be sent, if that is not at once.
    pub due: Option<Time>,
    /// When its uid was made.
    pub made: Time,
    /// Its number in the outbox.
    pub id: Option<i64>,
    /// When its INSERT ended.
    pub inserted: Option<Time>,
    /// When others saw it.
    pub committed: Option<Time>,
    /// When others saw its reply.
    pub settled: Option<Time>,
    /// The database has lost a reply of it.
    pub lost_reply: bool,
    /// When it was first handed to NATS.
    pub sent: Option<Time>,
    /// The session of the leader that has sent it last.
    pub sender: Option<SessionId>,
    /// Attempts that were handed to NATS.
    pub attempts: u32,
    /// Runs of its handler that began.
    pub runs: u32,
    /// The message of which it is a copy, which an operator has made.
    pub copy_of: Option<u128>,
    /// It was published as the one message of its key that may be sent.
    pub let_through: bool,
}

/// The messages of one sender, one target service and one ordering key.
pub type Chain = (usize, usize, usize);

impl Fate {
    /// The target service, by its place; a service that nobody runs comes after all of them.
    pub fn lane(&self) -> usize {
        if self.letter.way == Way::Nobody { usize::MAX } else { self.letter.target }
    }

    /// The chain that the message is of, if it has an ordering key.
    pub fn chain(&self) -> Option<Chain> {
        self.letter.key.map(|key| (self.service, self.lane(), key))
    }

    /// True if it is the message with this number in the outbox of a service.
    pub fn is_of(&self, service: usize, id: i64) -> bool {
        self.service == service && self.id == Some(id) && self.committed.is_some()
    }

    /// True if it holds its key when it fails.
    pub fn may_hold(&self) -> bool {
        self.letter.key.is_some() && self.letter.holds
    }
}

/// A stretch of time in which something was wrong.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    /// The begin.
    pub from: Time,
    /// The end; none while it lasts.
    pub until: Option<Time>,
    /// It may have consequences for so long after its end.
    pub after: Duration,
    /// It is one for those who ask this service; none: for everybody.
    pub target: Option<usize>,
    /// It is one for the messages of this service; none: for all.
    pub source: Option<usize>,
}

/// The book.
#[derive(Default)]
pub struct Book {
    /// Messages by their uids.
    pub fates: BTreeMap<u128, Fate>,
    /// The messages of each chain.
    pub chains: BTreeMap<Chain, Vec<u128>>,
    /// When operators have let the key of a chain go: when each began to commit, and when it had.
    pub released: BTreeMap<Chain, Vec<Time>>,
    /// When operators were at work on the holds of a key.
    pub operated: BTreeMap<Chain, Vec<Time>>,
    /// Stretches of trouble.
    pub troubles: Vec<Trouble>,
    /// When the clock of the database has jumped so far that messages may seem to come from the
    /// future.
    pub jumps: Vec<Time>,
    /// When the clock of the database has changed, by how much ever.
    pub clocks: Vec<Time>,
    /// When the database has lost a part of what was committed, the last time.
    pub lost: Option<Time>,
    /// Messages whose replies were given to a reply handler.
    pub handed: BTreeSet<u128>,
    /// Requests or replies were doubled.
    pub doubled: bool,
    /// Violations that were seen on the way.
    pub broken: Vec<String>,
}

impl Book {
    /// A message that is about to be published.
    pub fn add(&mut self, uid: u128, fate: Fate) {
        if let Some(chain) = fate.chain() {
            self.chains.entry(chain).or_default().push(uid);
        }
        self.fates.insert(uid, fate);
    }

    /// The messages of the chain of this one, and itself; nothing if it has no ordering key.
    pub fn chain(&self, fate: &Fate) -> impl Iterator<Item = &Fate> {
        let chain = fate.chain().and_then(|chain| self.chains.get(&chain));
        chain.into_iter().flatten().filter_map(|uid| self.fates.get(uid))
    }

    /// The last moment at which a message was settled, or a key was let go, for which this one may
    /// have waited. The reply of one that goes before it may be seen before its commit is over.
    pub fn held_until(&self, fate: &Fate) -> Option<Time> {
        let end = fate.settled?;
        let goes_before = |other: &Fate| other.id < fate.id || (other.let_through && other.id != fate.id);
        let settled = self.chain(fate).filter_map(|other| {
            let latest = if goes_before(other) { end + SHOWN } else { end };
            other.settled.filter(|settled| *settled < latest).map(|settled| settled.min(end))
        });
        let may_wait = !self.goes_first(fate, end);
        let released = self.released(fate).filter(|released| *released < end && may_wait);
        let operated = fate.chain().and_then(|chain| self.operated.get(&chain)).into_iter().flatten();
        let locked = operated.filter(|at| **at < end).map(|at| (*at + LOCKED).min(end));
        settled.chain(released).chain(locked).max()
    }

    /// True for a copy that may be sent until its end, and so waits for no release. When the key is
    /// let go, or another copy ends well, its place is that of any message.
    fn goes_first(&self, fate: &Fate, end: Time) -> bool {
        let ends_before = |other: &Fate| other.settled.is_some_and(|settled| settled < end);
        let mut others = self.chain(fate).filter(|other| other.let_through && other.id != fate.id);
        let since = fate.committed.unwrap_or(fate.made);
        let released = self.released(fate).filter(|released| (since..end).contains(released));
        fate.let_through && !others.any(ends_before) && released.count() < 2
    }

    /// The chain of a key that a message of this service holds.
    pub fn chain_of(service: usize, hold: &Hold) -> Chain {
        let (lane, key) = places(&hold.lane, &hold.key);
        (service, lane, key)
    }

    /// When operators have let its key go.
    pub fn released(&self, fate: &Fate) -> impl Iterator<Item = Time> {
        let released = fate.chain().and_then(|chain| self.released.get(&chain));
        released.into_iter().flatten().copied()
    }

    /// True if something was wrong between two moments, for this message or for everybody, or so
    /// shortly before that it may have consequences.
    pub fn is_troubled(&self, from: Time, until: Time, fate: Option<&Fate>) -> bool {
        let target = fate.map(|fate| fate.letter.target);
        let source = fate.map(|fate| fate.service);
        let meets = |trouble: &Trouble| {
            trouble.from <= until
                && trouble.until.is_none_or(|end| end + trouble.after >= from)
                && trouble.target.is_none_or(|of| Some(of) == target)
                && trouble.source.is_none_or(|of| Some(of) == source)
        };
        self.troubles.iter().any(meets)
    }

    /// True if the clock of the database has kept its pace from the INSERT of this message until
    /// then, and since the last time before it that a copy may have asked for the time.
    pub fn has_kept_time(&self, fate: &Fate, until: Time) -> bool {
        !self.clocks.iter().any(|changed| fate.made <= *changed + ASK_TIME && *changed <= until)
    }

    /// True if the clock has jumped while this message was on its way.
    pub fn has_jumped(&self, fate: &Fate, until: Time) -> bool {
        self.jumps.iter().any(|jump| fate.made <= *jump && *jump <= until)
    }
}
