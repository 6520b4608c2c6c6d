//! Operators who look for ordering keys that are held: after a while they let a key go, or publish
//! a copy of the message that holds it. They go on until the run is over, so that nothing is held
//! for good.

use std::{collections::BTreeMap, time::Duration};

use super::{
    World,
    book::Book,
    event::{Event, Owner},
    line::Ended,
    names::SERVICES,
    plan::BUSY,
};
use crate::{
    postgres::{Answer, Hold, Holding, Service, SessionId, Statement},
    time::Time,
};

/// The pause between two looks, in microseconds.
const LOOK: (u64, u64) = (200_000, 3_000_000);
/// The longest time that an operator leaves a key alone, in microseconds.
const LEAVES: u64 = 6_000_000;
/// An operator who has come to nothing after so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest time that a transaction of an operator stays open, in microseconds: of some, and of
/// others, so that several end while their leader looks at the holds.
const OPEN: [u64; 2] = [300_000, 4_000];

/// An operator in a transaction.
struct Releasing {
    session: SessionId,
    service: usize,
    hold: Hold,
    /// The copy that is published; none: the key is let go.
    copy: Option<u128>,
    /// Its COMMIT is under way.
    commits: bool,
}

/// The operators.
#[derive(Default)]
pub struct Releasers {
    at_work: BTreeMap<u64, Releasing>,
    next: u64,
    /// When somebody does something about a hold: by service and id.
    due: BTreeMap<(usize, i64), Time>,
}

impl World {
    pub(super) fn look_for_holds(&mut self) {
        let now = self.now();
        let pause = self.scheduler.random().between(LOOK.0, LOOK.1);
        self.scheduler.after(Duration::from_micros(pause), Event::LookForHolds);
        for service in 0..SERVICES.len() {
            for hold in self.database.holds(Service(service)) {
                let place = (service, hold.id);
                let due = match self.releasers.due.get(&place).copied() {
                    None => {
                        self.look_who_waits(service, &hold);
                        now + Duration::from_micros(self.scheduler.random().below(LEAVES))
                    }
                    Some(due) if due > now => continue,
                    Some(_) => {
                        self.begin_to_release(service, hold);
                        now + PATIENCE
                    }
                };
                self.releasers.due.insert(place, due);
            }
        }
    }

    fn look_who_waits(&mut self, service: usize, hold: &Hold) {
        let chain = Book::chain_of(service, hold);
        let mut waiting = self.book.fates.values().filter(|fate| fate.chain() == Some(chain));
        if waiting.any(|fate| fate.committed.is_some() && fate.settled.is_none()) {
            self.coverage.at("order:held");
        }
    }

    fn begin_to_release(&mut self, service: usize, hold: Hold) {
        // A message that is not settled cannot be published again. Nor is one after the time in
        // which messages are published.
        let is_settled = self.database.reply_of(Service(service), hold.id).is_some();
        let is_busy = self.now() < Time::START + BUSY;
        let retries = is_settled && is_busy && self.scheduler.random().one_in(2);
        let found = self.book.fates.iter().find(|(_, fate)| fate.is_of(service, hold.id));
        let original = found.filter(|_| retries).map(|(uid, fate)| (*uid, fate.letter.clone()));
        self.releasers.next += 1;
        let releaser = self.releasers.next;
        let Some(session) = self.connect(Owner::Releaser(releaser), None) else { return };
        self.ask(session, Statement::Begin);
        let copy = original.map(|(uid, mut letter)| {
            letter.fails = self.scheduler.random().one_in(3);
            let copy = self.new_uid(service, None, &letter);
            self.book.fates.get_mut(&copy).expect("is in the book").copy_of = Some(uid);
            copy
        });
        let statement = match copy {
            Some(copy) => {
                let row = self.row_of(copy, None, self.database.clock(self.now()));
                Statement::Publish(Service(service), vec![row])
            }
            None => Statement::Holds(Service(service), Holding::Release(hold.lane.clone(), hold.key.clone())),
        };
        self.ask(session, statement);
        let releasing = Releasing { session, service, hold, copy, commits: false };
        self.releasers.at_work.insert(releaser, releasing);
    }

    pub(super) fn releaser_hears(&mut self, releaser: u64, session: SessionId, ended: Ended) {
        let Some(releasing) = self.releasers.at_work.get(&releaser).filter(|it| it.session == session) else {
            return;
        };
        match (ended.result, releasing.copy.and_then(|copy| self.book.fates.get_mut(&copy))) {
            (Ok(Answer::Ids(ids)), Some(fate)) => {
                fate.id = ids.first().copied();
                let holding = Holding::Copy(releasing.hold.id, fate.id.unwrap_or_default());
                let statement = Statement::Holds(Service(releasing.service), holding);
                self.ask(session, statement);
            }
            (Ok(Answer::Count(rows)), copy) => {
                if let Some(copy) = copy {
                    copy.let_through = rows > 0;
                }
                let random = self.scheduler.random();
                let most = random.pick(&OPEN).copied().unwrap_or(1);
                let open = Duration::from_micros(random.below(most));
                self.scheduler.after(open, Event::ConcludeRelease(releaser));
            }
            (Ok(_), _) if !releasing.commits => {}
            _ => {
                self.end_releasing(releaser);
                self.close(session);
            }
        }
    }

    pub(super) fn conclude_release(&mut self, releaser: u64) {
        let Some(releasing) = self.releasers.at_work.get_mut(&releaser) else { return };
        releasing.commits = true;
        let session = releasing.session;
        self.note_release(releaser);
        self.ask(session, Statement::Commit);
    }

    /// A statement of an operator has ended. Returns the copy that its COMMIT publishes.
    pub(super) fn releaser_executes(&mut self, releaser: u64, answer: &Answer) -> Option<u128> {
        let now = self.now();
        let releasing = self.releasers.at_work.get(&releaser)?;
        let (copy, commits) = (releasing.copy, releasing.commits);
        match answer {
            Answer::Ids(_) => self.book.fates.get_mut(&copy?)?.inserted = Some(now),
            Answer::Done if commits => {
                self.note_release(releaser);
                return copy;
            }
            _ => {}
        }
        None
    }

    /// An operator ends a transaction at about this time, and may let a key go by it.
    fn note_release(&mut self, releaser: u64) {
        let now = self.now();
        let Some(releasing) = self.releasers.at_work.get(&releaser) else { return };
        let chain = Book::chain_of(releasing.service, &releasing.hold);
        self.book.operated.entry(chain).or_default().push(now);
        if releasing.copy.is_none() {
            self.book.released.entry(chain).or_default().push(now);
        }
    }

    /// An operator is done, or has lost its session: then it may have committed all the same.
    pub(super) fn end_releasing(&mut self, releaser: u64) {
        if self.releasers.at_work.get(&releaser).is_some_and(|releasing| releasing.commits) {
            self.note_release(releaser);
        }
        if let Some(releasing) = self.releasers.at_work.remove(&releaser) {
            self.releasers.due.remove(&(releasing.service, releasing.hold.id));
        }
    }
}
