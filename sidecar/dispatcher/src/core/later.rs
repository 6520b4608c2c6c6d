//! Messages that are sent later: when to look which of them are due.
//!
//! They wait in a table of their own. One statement puts those that are due into the outbox, where
//! they are read as any other rows, and tells when the next one is due. So the leader remembers one
//! moment for all of them, and a takeover loses nothing: the next leader looks at its start.
//!
//! A commit tells the leader of what is due soon. The rest is found by a look every
//! [`DUE_CHECK`]: what is due later than [`TOLD_AHEAD`](tpro_wire::limits::TOLD_AHEAD) at its
//! commit, and what a prepared transaction has published.
//!
//! A look begins where the one before has ended. The index keeps the entries of rows that have gone
//! for as long as anybody has an old snapshot, and a look from the begin would walk over them.

use std::time::{Duration, Instant, SystemTime};

use tpro_runtime::plant;
use tpro_wire::limits::DUE_CHECK;

use super::moment::Moment;

/// The least pause between two looks, unless the one before has left something. Word of what is due
/// may come at any rate.
const PAUSE: Duration = Duration::from_millis(10);
/// The pause after a look that has failed.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// Rows that one look puts into the outbox at most: some ten milliseconds of the session. It stops
/// before that at eight megabytes.
pub const AT_MOST: i32 = 256;

/// The end of a look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    /// Rows that went into the outbox.
    pub rows: u64,
    /// The least id of them.
    pub least: Option<i64>,
    /// All that was to be sent before then has gone, but for what others have locked.
    pub upto: Option<Moment>,
    /// The time until the next one is due.
    pub next: Option<Duration>,
}

/// The looks.
pub struct Looks {
    /// When to look.
    due: Instant,
    /// A look is under way.
    busy: bool,
    /// Where the next look begins; none: it looks at all of them.
    from: Option<Moment>,
    /// When to look at all of them.
    whole: Instant,
    /// Not before.
    rested: Instant,
    /// The first moment that was told while a look was under way, and when that is.
    told: Option<(Option<Moment>, Instant)>,
}

impl Looks {
    /// A leader that begins now looks at once.
    pub fn new(now: Instant) -> Self {
        Self { due: now, busy: false, from: None, whole: now, rested: now, told: None }
    }

    /// Somebody has published what is to be sent at this moment; none: there is no saying when.
    /// `time` is that of the database.
    pub fn told(&mut self, moment: Option<Moment>, time: SystemTime, now: Instant) {
        let due = now + moment.map_or(Duration::ZERO, |moment| moment.after(time));
        if self.busy {
            if plant::is_planted("deaf while looking") {
                return;
            }
            let (first, at) = self.told.unwrap_or((moment, due));
            self.told = Some((first.min(moment), at.min(due)));
        } else {
            self.heed(moment, due);
        }
    }

    fn heed(&mut self, moment: Option<Moment>, due: Instant) {
        self.due = self.due.min(due.max(self.rested));
        // None is less than any moment.
        self.from = self.from.min(moment);
    }

    /// Where a look is to begin, if it is time; it is taken for under way.
    pub fn begin(&mut self, now: Instant) -> Option<Option<Moment>> {
        if self.busy || now < self.due {
            return None;
        }
        self.busy = true;
        if now >= self.whole {
            (self.from, self.whole) = (None, now + DUE_CHECK);
        }
        Some(self.from)
    }

    /// A look has ended.
    pub fn ended(&mut self, sent: Sent, now: Instant) {
        let is_full = sent.rows >= u64::from(AT_MOST.unsigned_abs());
        let next = if is_full { Duration::ZERO } else { sent.next.unwrap_or(DUE_CHECK).max(PAUSE) };
        self.from = sent.upto;
        self.rest(next, now);
    }

    /// A look has failed.
    pub fn failed(&mut self, now: Instant) {
        self.rest(AFTER_FAILURE, now);
    }

    fn rest(&mut self, next: Duration, now: Instant) {
        self.busy = false;
        self.rested = now + next.min(PAUSE);
        self.due = (now + next).min(self.whole.max(self.rested));
        if let Some((moment, due)) = self.told.take() {
            self.heed(moment, due);
        }
    }

    /// When to look, if no look is under way.
    pub fn due(&self) -> Option<Instant> {
        (!self.busy).then_some(self.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From which moments are counted.
    fn begin_of_2000() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(946_684_800)
    }

    fn sent(rows: u64, upto: i64, next: Option<u64>) -> Sent {
        Sent { rows, least: None, upto: Some(Moment(upto)), next: next.map(Duration::from_millis) }
    }

    #[test]
    fn it_looks_at_once_then_when_the_next_is_due_and_at_all_from_time_to_time() {
        let now = Instant::now();
        let mut later = Looks::new(now);
        assert_eq!(later.begin(now), Some(None));
        assert_eq!((later.begin(now), later.due()), (None, None), "one at a time");
        later.ended(sent(3, 70, Some(400)), now);
        let next = now + Duration::from_millis(400);
        assert_eq!((later.begin(now), later.due()), (None, Some(next)));
        assert_eq!(later.begin(next), Some(Some(Moment(70))));
        later.ended(sent(0, 70, None), next);
        assert_eq!(later.due(), Some(now + DUE_CHECK), "nothing is known to be due");
        assert_eq!(later.begin(now + DUE_CHECK), Some(None));
    }

    #[test]
    fn what_one_look_has_left_is_looked_for_at_once_and_what_it_could_not_have_after_a_pause() {
        let now = Instant::now();
        let mut later = Looks::new(now);
        later.begin(now);
        later.ended(sent(AT_MOST.unsigned_abs().into(), 70, Some(0)), now);
        assert_eq!(later.begin(now), Some(Some(Moment(70))));
        later.ended(sent(0, 70, Some(0)), now);
        assert_eq!(later.due(), Some(now + PAUSE), "somebody has locked it");
        later.begin(now + PAUSE);
        later.failed(now + PAUSE);
        assert_eq!(later.due(), Some(now + PAUSE + AFTER_FAILURE));
    }

    #[test]
    fn what_is_told_is_looked_for_at_its_moment_also_if_a_look_is_under_way() {
        let (now, time) = (Instant::now(), begin_of_2000());
        for told_meanwhile in [false, true] {
            let mut later = Looks::new(now);
            later.begin(now);
            if !told_meanwhile {
                later.ended(Sent { upto: Some(Moment(70)), ..Sent::default() }, now);
            }
            later.told(Some(Moment(900_000)), time, now);
            later.told(Some(Moment(300_000)), time, now);
            if told_meanwhile {
                later.ended(Sent { upto: Some(Moment(70)), ..Sent::default() }, now);
            }
            let due = now + Duration::from_millis(300);
            assert_eq!(later.due(), Some(due));
            assert_eq!(later.begin(due), Some(Some(Moment(70))));
            later.ended(Sent { upto: Some(Moment(300_000)), ..Sent::default() }, due);
            // Of a time that was passed, or of a time that nobody knows.
            later.told(if told_meanwhile { Some(Moment(200_000)) } else { None }, time + (due - now), due);
            assert_eq!(later.due(), Some(due + PAUSE), "word may come at any rate");
            let from = told_meanwhile.then_some(Moment(200_000));
            assert_eq!(later.begin(due + PAUSE), Some(from));
        }
    }
}
