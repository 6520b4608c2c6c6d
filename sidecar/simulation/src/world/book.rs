//! The book of a run: what was published, and what became of it, seen from outside.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    ASK_TIME,
    plan::{Letter, Way},
};
use crate::{postgres::SessionId, time::Time};

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

    /// The last moment at which a message was settled for which this one may have waited.
    pub fn held_until(&self, fate: &Fate) -> Option<Time> {
        let settled = self.chain(fate).filter_map(|other| other.settled);
        settled.filter(|settled| fate.settled.is_some_and(|end| *settled < end)).max()
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
