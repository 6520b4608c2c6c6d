//! The plan of a run: everything that a seed decides before the run begins.

use std::time::Duration;

use super::{
    fault::{Fault, Kind},
    names::{COPIES, KEYS, SERVICES},
};
use crate::{random::Random, time::Time};

/// Messages of a run, at least.
const MESSAGES: usize = 240;
/// The shortest fault: within a microsecond its end could come before its begin.
const SHORTEST_FAULT: Duration = Duration::from_millis(1);
/// The time in which messages are published and faults begin.
pub const BUSY: Duration = Duration::from_secs(40);

/// The farthest ahead that a message is to be sent.
const LATEST: Duration = Duration::from_secs(12);

/// The way in which a target serves a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Inbox row, effect and outcome are one transaction.
    Transactional,
    /// Accepts and outcomes are written in batches.
    Batched,
    /// Without an inbox: it runs for each delivery.
    Stateless,
    /// An event, which nobody answers.
    Event,
    /// To a service that nobody runs.
    Nobody,
}

/// A message.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The service that is asked.
    pub target: usize,
    /// The way it is served.
    pub way: Way,
    /// Its ordering key, by its place in the list of keys.
    pub key: Option<usize>,
    /// Those behind it wait when it has failed, if it has a key.
    pub holds: bool,
    /// Its reply has a handler.
    pub handled: bool,
    /// Seconds; 0 for an event.
    pub budget: i32,
    /// When it is not worth sending any more, after its INSERT.
    pub expires: Option<Duration>,
    /// The time that its handler takes.
    pub work: Duration,
    /// Its handler ends with an error.
    pub fails: bool,
    /// Its result is JSON that PostgreSQL does not hold.
    pub bad: bool,
}

/// The end of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// COMMIT.
    Commit,
    /// ROLLBACK.
    Rollback,
    /// PREPARE TRANSACTION, and COMMIT PREPARED after a while.
    Prepare(Duration),
}

/// A transaction of a publisher.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// When it begins.
    pub at: Time,
    /// The service.
    pub service: usize,
    /// Its messages.
    pub letters: Vec<Letter>,
    /// The time between its INSERT and its end.
    pub open: Duration,
    /// Its end.
    pub conclusion: Conclusion,
    /// Its messages are to be sent so long after their INSERT.
    pub later: Option<Duration>,
    /// The time between the draw of its ids and its begin.
    pub early: Option<Duration>,
    /// The time between its first write, by which it has a number, and its INSERT of messages.
    pub busy: Option<Duration>,
    /// Its publisher waits for a database that is away.
    pub waits: bool,
    /// When its first message is cancelled, and for how long that is not committed.
    pub cancel: Option<(Duration, Duration)>,
}

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct Knobs {
    /// Messages in flight per lane.
    pub lane: usize,
    /// Messages in flight in total.
    pub total: usize,
    /// Rows of a page.
    pub page: usize,
    /// Ids of a partition.
    pub partition: i64,
    /// Messages are rare for so long before the dispatcher sleeps.
    pub park: Duration,
    /// The pause between reads of a sleeper.
    pub slow_poll: Option<Duration>,
    /// Handlers at work at a time in a copy.
    pub handlers: usize,
    /// Runs of a message.
    pub runs: u32,
    /// One in so many replies has a handler.
    pub handled: u64,
    /// A commit is on the disk before it is visible.
    pub synchronous: bool,
    /// Commits pause before each of their phases.
    pub stepwise: bool,
    /// Microseconds that things take to get through, at most.
    pub latency: u64,
    /// The targets may have too much to do.
    pub tight: bool,
}

/// Somebody names reply handlers, or takes them back.
#[derive(Clone, Debug)]
pub struct Naming {
    /// When.
    pub at: Time,
    /// The service that asks.
    pub service: usize,
    /// A bit for each target.
    pub targets: u8,
}

impl Naming {
    /// True if the reply of this letter gets a handler.
    pub fn is_of(&self, service: usize, letter: &Letter) -> bool {
        self.service == service && self.targets >> letter.target & 1 == 1 && may_be_named(letter)
    }
}

/// True for a letter of the method whose replies may have one.
pub fn may_be_named(letter: &Letter) -> bool {
    letter.way == Way::Batched && !letter.handled
}

/// The plan.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The settings.
    pub knobs: Knobs,
    /// The transactions of publishers.
    pub transactions: Vec<Transaction>,
    /// The faults.
    pub faults: Vec<Fault>,
    /// The changes of reply handlers in SQL.
    pub namings: Vec<Naming>,
}

impl Plan {
    /// The plan of this generator.
    pub fn draw(random: &mut Random) -> Self {
        let knobs = Knobs::draw(random);
        let transactions = transactions(random, &knobs);
        let faults = faults(random, &knobs);
        let namings = namings(random);
        Self { knobs, transactions, faults, namings }
    }
}

impl Knobs {
    fn draw(random: &mut Random) -> Self {
        let tight = random.one_in(6);
        let lane = random.pick(&[4, 8, 16, 64, 256]).copied().unwrap_or(64);
        let handlers = if tight { random.between(1, 4) } else { 512 };
        Self {
            lane,
            total: lane * 4,
            page: random.pick(&[2, 5, 20, 100]).copied().unwrap_or(20),
            partition: random.pick(&[10, 50, 1_000, 100_000]).copied().unwrap_or(1_000),
            park: random.pick(&[0, 0, 5, 20, 50]).copied().map_or(Duration::ZERO, Duration::from_millis),
            slow_poll: (!random.one_in(3)).then_some(Duration::from_secs(5)),
            handlers: handlers as usize,
            runs: random.pick(&[3, 5, 8]).copied().unwrap_or(5),
            handled: random.pick(&[1, 3, 5, 5]).copied().unwrap_or(5),
            synchronous: !random.one_in(4),
            stepwise: !random.one_in(5),
            latency: random.pick(&[200, 1_000, 5_000]).copied().unwrap_or(1_000),
            tight,
        }
    }
}

/// A duration of one of several sizes, from microseconds up to this.
fn spread(random: &mut Random, most: Duration) -> Duration {
    let most = most.as_micros() as u64;
    let bits = u64::from(64 - most.leading_zeros());
    let size = 1 << random.between(6, bits.max(6));
    Duration::from_micros(random.below(size).min(most))
}

fn transactions(random: &mut Random, knobs: &Knobs) -> Vec<Transaction> {
    let (mut transactions, mut count, mut at) = (Vec::new(), 0, Time::of_micros(1_500_000));
    let end = Time::START + BUSY;
    let most = MESSAGES + random.below(60) as usize;
    // Bursts, and quiet between them in which a message that nobody is told of would be seen to wait.
    while count < most {
        let transaction = transaction(random, knobs, at);
        count += transaction.letters.len();
        transactions.push(transaction);
        at = at
            + match random.one_in(4) {
                true => Duration::from_micros(random.between(100_000, 2_400_000)),
                false => spread(random, Duration::from_millis(80)),
            };
        if at > end {
            at = Time::START + Duration::from_micros(random.between(2_000_000, BUSY.as_micros() as u64));
        }
    }
    transactions
}

fn transaction(random: &mut Random, knobs: &Knobs, at: Time) -> Transaction {
    let letters = match random.below(12) {
        0 => random.between(5, 30),
        1..5 => random.between(2, 4),
        _ => 1,
    };
    let service = random.below(SERVICES.len() as u64) as usize;
    let mut letters: Vec<_> = (0..letters).map(|_| letter(random, knobs)).collect();
    let open = match random.below(12) {
        // Longer than a take-over.
        0 => spread(random, Duration::from_secs(20)),
        1..4 => spread(random, Duration::from_millis(400)),
        _ => spread(random, Duration::from_millis(5)),
    };
    let conclusion = match random.below(16) {
        0..2 => Conclusion::Rollback,
        // What is prepared while the dispatcher sleeps cannot ring when it is committed. Without the
        // slow poll it waits for the next message.
        2 if knobs.slow_poll.is_some() => {
            // Now and then so long that others publish while it keeps the bell.
            let long = random.one_in(4).then(|| Duration::from_millis(random.between(1_600, 2_400)));
            Conclusion::Prepare(long.unwrap_or_else(|| spread(random, Duration::from_secs(5))))
        }
        _ => Conclusion::Commit,
    };
    let cancel = random.one_in(15).then(|| {
        // Now and then longer than a reply handler tries.
        let most = if random.one_in(4) { Duration::from_secs(14) } else { Duration::from_secs(3) };
        (spread(random, Duration::from_secs(1)), spread(random, most))
    });
    let early = random.one_in(20).then(|| spread(random, Duration::from_secs(15)));
    if early.is_some() {
        // A publisher that names an id from before its transaction goes around the order.
        letters.iter_mut().for_each(|letter| letter.key = None);
    }
    let later = random.one_in(8).then(|| spread(random, LATEST));
    let waits = !random.one_in(3);
    let busy = random.one_in(4).then(|| Duration::from_micros(random.between(1_000, 3_000_000)));
    let busy = busy.filter(|_| early.is_none());
    Transaction { at, service, letters, open, conclusion, later, early, busy, waits, cancel }
}

fn letter(random: &mut Random, knobs: &Knobs) -> Letter {
    let way = match random.below(20) {
        0..9 => Way::Transactional,
        9..15 => Way::Batched,
        15..17 => Way::Stateless,
        17..19 => Way::Event,
        _ => Way::Nobody,
    };
    let budget = match way {
        Way::Event => 0,
        Way::Nobody => 2,
        _ => random.pick(&[5, 15, 15, 30, 60]).copied().unwrap_or(15),
    };
    let slow = if knobs.tight { Duration::from_secs(1) } else { Duration::from_millis(300) };
    let work = if random.one_in(8) { spread(random, slow) } else { spread(random, Duration::from_millis(4)) };
    let holds = random.one_in(2);
    Letter {
        target: random.below(SERVICES.len() as u64) as usize,
        way,
        key: random.one_in(3).then(|| random.below(KEYS.len() as u64) as usize),
        holds,
        // A handler writes the hold in a transaction of its own, which a leader after may not see
        // yet.
        handled: random.one_in(if way == Way::Nobody || holds { 2 } else { knobs.handled })
            && way != Way::Event,
        budget,
        expires: random.one_in(25).then(|| spread(random, Duration::from_secs(4))),
        work,
        fails: random.one_in(if holds { 6 } else { 12 }),
        bad: way == Way::Stateless && random.one_in(8),
    }
}

fn namings(random: &mut Random) -> Vec<Naming> {
    let count = if random.one_in(3) { random.between(1, 6) } else { 0 };
    let mut namings: Vec<Naming> = (0..count)
        .map(|_| Naming {
            at: Time::of_micros(random.below(45_000_000)),
            service: random.below(SERVICES.len() as u64) as usize,
            targets: random.below(1 << SERVICES.len()) as u8,
        })
        .collect();
    namings.sort_by_key(|naming| naming.at);
    namings
}

fn faults(random: &mut Random, knobs: &Knobs) -> Vec<Fault> {
    let count = if random.one_in(5) { 0 } else { random.between(1, 7) };
    let copies = (SERVICES.len() * COPIES) as u64;
    let mut faults: Vec<_> = (0..count)
        .map(|_| {
            // Quiet at first and in between: what happens there has no excuse.
            let quarter = random.pick(&[0, 0, 2, 2, 2, 3]).copied().unwrap_or(0);
            let at = 3_000_000 + quarter * 9_000_000 + random.below(9_000_000);
            Fault {
                at: Time::of_micros(at),
                began: None,
                lasts: spread(random, Duration::from_secs(16)).max(SHORTEST_FAULT),
                kind: Kind::draw(random, knobs.synchronous),
                copy: random.below(copies) as usize,
                leads: random.one_in(2),
                size: random.next_u64() >> 1,
            }
        })
        .collect();
    for fault in &mut faults {
        fault.lasts = fault.span();
    }
    faults.sort_by_key(|fault| fault.at);
    faults
}
