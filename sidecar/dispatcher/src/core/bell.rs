//! When to read, and how to be woken: the dispatcher's side of the bell.
//!
//! The bell is a lock. While the dispatcher holds it exclusively, a transaction that publishes
//! rings: it tries the lock shared before it commits, and notifies when it cannot have it. So the
//! order matters, and is the whole of this file: take the bell, *then* read once more, in a
//! statement of its own (what committed before the bell was taken did not ring, and is visible by
//! then); only what that read does not find will ring. `sidecar/models/src/bell.rs` checks it
//! exhaustively.
//!
//! There are two modes. With the bell, each ring is answered by one read, and nothing is polled.
//! Without it, reads follow each other about a millisecond apart while messages come, and
//! publishers pay nothing. A ring costs its publisher a notification, so the bell is let go when it
//! rings too often (see [`RingPace`]), and taken again when messages have become rare.
//!
//! The bell cannot always be had. A prepared transaction may keep it for hours, and where many
//! sessions write journal rows, one of them nearly always has it. So reads that find nothing slow
//! down: a message that comes after a silence waits for a small part of that silence at most, and
//! a silence without end costs little.
//!
//! Replies and timers do not wake: they need the session, not the bell.

use std::time::{Duration, Instant};

use tpro_runtime::plant;

use super::ring_pace::RingPace;

/// The pause between two reads without the bell, while messages come.
const PAUSE: Duration = Duration::from_millis(1);
/// The pause grows to one part in so many of the time in which no message came.
const PART: u32 = 16;
/// It grows no further.
const LONGEST: Duration = Duration::from_millis(8);

/// Where the dispatcher is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    /// Reads from time to time; nobody rings.
    Awake {
        /// When it began to count.
        since: Instant,
        /// It has read since the bell was asked for.
        read: bool,
        /// Rows that it has found since then.
        rows: u32,
        /// The next read.
        next: Instant,
    },
    /// The bell is being taken.
    Taking,
    /// Has the bell, and reads. A ring during the read is remembered.
    Armed { rung: bool },
    /// Has the bell, and waits until it rings or the slow poll is due.
    Asleep { poll: Option<Instant> },
    /// The bell is being let go.
    Waking,
}

/// A statement that is to be run now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Read a page.
    Read,
    /// Take the bell.
    Sleep,
    /// Let the bell go.
    Wake,
}

/// The rows that a read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// So many rows, and no more for now.
    Some(u32),
    /// A full page, or one that does not show what is visible now; there may be more.
    More,
}

/// The dispatcher's side of the bell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bell {
    state: State,
    /// A statement of ours is under way.
    busy: bool,
    /// When messages came last, or the bell was let go.
    last: Instant,
    pace: RingPace,
    park_after: Duration,
    slow_poll: Option<Duration>,
}

impl Bell {
    /// A dispatcher without the bell. It tries to take it when messages were rare for so long.
    pub fn new(park_after: Duration, slow_poll: Option<Duration>, now: Instant) -> Self {
        let state = State::Awake { since: now, read: false, rows: 0, next: now };
        Self { state, busy: false, last: now, pace: RingPace::new(now), park_after, slow_poll }
    }

    /// The bell may ring once in so long, on average.
    pub fn allow(&mut self, gap: Duration) {
        self.pace.allow(gap);
    }

    /// The statement to run now, if any. The caller does it, and says how it ended; or, when it may
    /// not read now, asks again.
    pub fn act(&self, now: Instant) -> Option<Act> {
        if self.busy {
            return None;
        }
        match self.state {
            State::Awake { next, .. } => match self.parks_at() {
                Some(at) if now >= at => Some(Act::Sleep),
                _ => (now >= next).then_some(Act::Read),
            },
            State::Taking => None,
            State::Armed { .. } | State::Asleep { .. } if self.pace.is_exceeded(now) => Some(Act::Wake),
            State::Armed { .. } => Some(Act::Read),
            State::Asleep { poll } => poll.is_some_and(|poll| now >= poll).then_some(Act::Read),
            State::Waking => Some(Act::Wake),
        }
    }

    /// When to ask `act` again, if nothing else happens.
    pub fn next(&self) -> Option<Instant> {
        match self.state {
            State::Awake { next, .. } => Some(self.parks_at().map_or(next, |at| at.min(next))),
            State::Asleep { poll } => poll,
            _ => None,
        }
        .filter(|_| !self.busy)
    }

    /// When to take the bell, if no read finds anything before.
    fn parks_at(&self) -> Option<Instant> {
        match self.state {
            State::Awake { since, read: true, rows, .. } if self.pace.is_kept_by(rows, self.park_after) => {
                Some(since + self.park_after)
            }
            _ => None,
        }
    }

    /// True while the dispatcher waits to be woken.
    pub fn is_asleep(&self) -> bool {
        matches!(self.state, State::Asleep { .. })
    }

    /// True while the bell is the dispatcher's, and publishers ring.
    pub fn is_armed(&self) -> bool {
        matches!(self.state, State::Armed { .. } | State::Asleep { .. })
    }

    /// `act` is being done.
    pub fn begins(&mut self, act: Act) {
        self.busy = true;
        match (act, self.state) {
            (Act::Sleep, _) => self.state = State::Taking,
            (Act::Wake, _) => self.state = State::Waking,
            (Act::Read, State::Armed { .. } | State::Asleep { .. }) => {
                self.state = State::Armed { rung: false };
            }
            (Act::Read, _) => {}
        }
    }

    /// A read has ended.
    pub fn read(&mut self, found: Found, now: Instant) {
        self.busy = false;
        if found != Found::Nothing {
            self.last = now;
        }
        self.state = match self.state {
            State::Awake { since, rows, .. } => {
                let (new, next) = match found {
                    Found::Nothing => (0, now + self.pause(now)),
                    Found::Some(rows) => (rows, now + PAUSE),
                    Found::More => (u32::MAX, now),
                };
                let all = rows.saturating_add(new);
                let goes_on = now < since + self.park_after || self.pace.is_kept_by(all, self.park_after);
                let (since, rows) = if goes_on { (since, all) } else { (now, new) };
                State::Awake { since, read: true, rows, next }
            }
            State::Armed { .. } if found == Found::More => State::Waking,
            State::Armed { rung: true } => State::Armed { rung: false },
            State::Armed { rung: false } => self.fall_asleep(now),
            other => other,
        };
    }

    /// The bell was asked for: it is ours, or a publisher is about to commit.
    pub fn taken(&mut self, ours: bool, now: Instant) {
        self.busy = false;
        self.state = match ours {
            true if plant::is_planted("no second read") => self.fall_asleep(now),
            true => State::Armed { rung: false },
            // Its row is about to be visible: it reads before it tries again. A transaction that is
            // prepared may keep the bell for hours.
            false => {
                let read = plant::is_planted("sleep without a read");
                State::Awake { since: now, read, rows: 0, next: now + PAUSE }
            }
        };
    }

    /// The bell was let go.
    pub fn let_go(&mut self, now: Instant) {
        self.busy = false;
        self.last = now;
        self.pace.begin(now);
        self.state = State::Awake { since: now, read: false, rows: 0, next: now };
    }

    /// Somebody rang.
    pub fn rung(&mut self, now: Instant) {
        match &mut self.state {
            State::Asleep { .. } => self.state = State::Armed { rung: false },
            State::Armed { rung } => *rung = self.busy,
            // A ring from before it was let go.
            State::Awake { .. } | State::Taking | State::Waking => return,
        }
        self.pace.ring(now);
    }

    /// The pause after a read that found nothing.
    fn pause(&self, now: Instant) -> Duration {
        (now.saturating_duration_since(self.last) / PART).clamp(PAUSE, LONGEST)
    }

    fn fall_asleep(&self, now: Instant) -> State {
        State::Asleep { poll: self.slow_poll.map(|pause| now + pause) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARK: Duration = Duration::from_millis(50);
    const GAP: Duration = Duration::from_millis(10);

    /// A dispatcher that has read, and has found nothing for a while.
    fn quiet() -> (Bell, Instant) {
        let mut now = Instant::now();
        let mut bell = Bell::new(PARK, Some(Duration::from_secs(5)), now);
        bell.allow(GAP);
        while bell.act(now) != Some(Act::Sleep) {
            if bell.act(now) == Some(Act::Read) {
                bell.begins(Act::Read);
                assert_eq!(bell.act(now), None, "one statement at a time");
                bell.read(Found::Nothing, now);
            }
            now = bell.next().expect("without the bell there is always something to do");
        }
        (bell, now)
    }

    fn asleep() -> (Bell, Instant) {
        let (mut bell, now) = quiet();
        bell.begins(Act::Sleep);
        bell.taken(true, now);
        assert!(bell.is_armed() && !bell.is_asleep());
        reads(&mut bell, Found::Nothing, now);
        assert!(bell.is_asleep());
        (bell, now)
    }

    /// It wants to read, and does.
    fn reads(bell: &mut Bell, found: Found, now: Instant) {
        assert_eq!(bell.act(now), Some(Act::Read));
        bell.begins(Act::Read);
        bell.read(found, now);
    }

    #[test]
    fn it_takes_the_bell_when_reads_found_nothing_for_a_while() {
        let start = Instant::now();
        let (_, now) = quiet();
        assert!(now >= start + PARK && now < start + 2 * PARK);
    }

    #[test]
    fn it_reads_once_more_after_taking_the_bell_and_keeps_it() {
        for found in [Found::Nothing, Found::Some(1)] {
            let (mut bell, now) = quiet();
            bell.begins(Act::Sleep);
            bell.taken(true, now);
            reads(&mut bell, found, now);
            assert!(bell.is_asleep(), "after {found:?}");
        }
    }

    #[test]
    fn a_full_page_lets_the_bell_go() {
        let (mut bell, now) = asleep();
        bell.rung(now);
        reads(&mut bell, Found::More, now);
        assert_eq!(bell.act(now), Some(Act::Wake));
        bell.begins(Act::Wake);
        bell.let_go(now);
        assert!(!bell.is_armed());
        reads(&mut bell, Found::More, now);
        assert_eq!(bell.act(now), Some(Act::Read), "at once");
    }

    #[test]
    fn without_patience_it_reads_on_until_a_read_finds_nothing() {
        let now = Instant::now();
        let mut bell = Bell::new(Duration::ZERO, None, now);
        reads(&mut bell, Found::More, now);
        reads(&mut bell, Found::Some(1), now);
        assert_eq!(bell.act(now), None);
        reads(&mut bell, Found::Nothing, now + PAUSE);
        assert_eq!(bell.act(now + PAUSE), Some(Act::Sleep));
    }

    #[test]
    fn each_ring_is_answered_by_a_read_and_nothing_is_let_go() {
        let (mut bell, start) = asleep();
        for ring in 0..100 {
            let now = start + ring * GAP;
            assert!(bell.is_asleep());
            bell.rung(now);
            reads(&mut bell, Found::Some(1), now);
        }
    }

    #[test]
    fn a_ring_during_a_read_is_answered_by_another() {
        let (mut bell, now) = asleep();
        bell.rung(now);
        assert_eq!(bell.act(now), Some(Act::Read));
        bell.begins(Act::Read);
        bell.rung(now);
        bell.rung(now);
        bell.read(Found::Some(1), now);
        reads(&mut bell, Found::Nothing, now);
        assert!(bell.is_asleep());
    }

    #[test]
    fn the_bell_is_let_go_when_it_rings_too_often_and_taken_again_when_messages_are_rare() {
        let (mut bell, mut now) = asleep();
        while bell.act(now) != Some(Act::Wake) {
            now += GAP / 4;
            bell.rung(now);
            if bell.act(now) == Some(Act::Read) {
                reads(&mut bell, Found::Some(1), now);
            }
        }
        bell.begins(Act::Wake);
        bell.let_go(now);
        // As often as before: the bell stays where it is.
        let busy = now;
        while now < busy + 10 * PARK {
            reads(&mut bell, Found::Some(1), now);
            now += GAP / 4;
        }
        // Less than half of what is allowed.
        while bell.act(now) != Some(Act::Sleep) {
            assert!(now < busy + 13 * PARK, "it would never take the bell");
            if bell.act(now) == Some(Act::Read) {
                reads(&mut bell, Found::Nothing, now);
            }
            now += PAUSE;
        }
    }

    #[test]
    fn the_moment_to_look_again_is_never_one_that_has_passed() {
        let mut now = Instant::now();
        let mut bell = Bell::new(PARK, None, now);
        bell.allow(GAP);
        for step in 0..1_000 {
            assert_eq!(bell.act(now), Some(Act::Read), "step {step}");
            bell.begins(Act::Read);
            now += PAUSE;
            bell.read(Found::Some(1), now);
            assert!(bell.next().expect("there is always a next read") > now);
            now += PAUSE;
        }
    }

    #[test]
    fn a_publisher_about_to_commit_keeps_the_bell() {
        let (mut bell, now) = quiet();
        bell.begins(Act::Sleep);
        bell.taken(false, now);
        assert_eq!(bell.act(now), None);
        assert_eq!(bell.act(now + PAUSE), Some(Act::Read));
    }

    #[test]
    fn a_bell_that_cannot_be_had_is_tried_again_only_after_a_read() {
        let now = Instant::now();
        let mut bell = Bell::new(Duration::ZERO, None, now);
        reads(&mut bell, Found::Nothing, now);
        for ms in 0..10 {
            let now = now + ms * PAUSE;
            assert_eq!(bell.act(now), Some(Act::Sleep));
            bell.begins(Act::Sleep);
            bell.taken(false, now);
            let next = bell.next().expect("it is awake");
            reads(&mut bell, Found::Nothing, next);
        }
    }

    #[test]
    fn reads_that_find_nothing_slow_down_as_long_as_no_message_comes() {
        let (mut bell, mut now) = quiet();
        let mut pauses = Vec::new();
        while pauses.len() < 1_000 || bell.act(now) != Some(Act::Read) {
            if bell.act(now) == Some(Act::Sleep) {
                bell.begins(Act::Sleep);
                bell.taken(false, now);
                now = bell.next().expect("it is awake");
            }
            reads(&mut bell, Found::Nothing, now);
            pauses.push(bell.pause(now));
            now += bell.pause(now);
        }
        assert!(pauses.is_sorted() && pauses[0] < 4 * PAUSE && pauses[999] == LONGEST);
        reads(&mut bell, Found::Some(1), now);
        assert_eq!(bell.next(), Some(now + PAUSE), "and are back at once");
        // The bell was let go since messages came.
        let (mut bell, start) = asleep();
        let now = start + Duration::from_secs(9);
        bell.begins(Act::Wake);
        bell.let_go(now);
        reads(&mut bell, Found::Nothing, now);
        assert_eq!(bell.next(), Some(now + PAUSE));
    }

    #[test]
    fn the_slow_poll_looks_without_letting_the_bell_go() {
        let (mut bell, now) = asleep();
        let poll = bell.next().expect("there is a slow poll");
        assert_eq!(poll, now + Duration::from_secs(5));
        reads(&mut bell, Found::Nothing, poll);
        assert!(bell.is_asleep());
        assert_eq!(bell.next(), Some(poll + Duration::from_secs(5)));
    }

    #[test]
    fn without_a_slow_poll_only_the_bell_wakes_it() {
        let now = Instant::now();
        let mut bell = Bell::new(Duration::ZERO, None, now);
        reads(&mut bell, Found::Nothing, now);
        bell.begins(Act::Sleep);
        bell.taken(true, now);
        reads(&mut bell, Found::Nothing, now);
        assert_eq!((bell.act(now), bell.next()), (None, None));
    }
}
