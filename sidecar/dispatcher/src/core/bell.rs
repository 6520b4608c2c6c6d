//! When to read, when to sleep, and how to be woken: the dispatcher's side of the bell.
//!
//! The bell is a lock. The dispatcher that holds it exclusively sleeps; a transaction that
//! publishes tries it shared before it commits, and notifies when it cannot have it. So the order
//! matters, and is the whole of this file: take the bell, *then* read once more, in a statement of
//! its own (what committed before the bell was taken did not ring, and is visible by then); only
//! what that read does not find will ring. `sidecar/models/src/bell.rs` checks it exhaustively.
//!
//! Replies and timers do not wake: they need the session, not the bell.

use std::time::{Duration, Instant};

use tpro_runtime::plant;

/// Pauses between reads that find nothing, before the dispatcher tries to sleep. A message waits
/// for half of the longest, and a dozen reads are made before the sleep.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(4);

/// Where the dispatcher is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    /// Reads from time to time; nobody rings.
    Awake { quiet_since: Option<Instant>, next: Instant, pause: Duration },
    /// The bell is being taken.
    Taking,
    /// Has the bell; reads once more. A ring meanwhile is remembered.
    Armed { rung: bool },
    /// Sleeps until the bell rings or the slow poll is due.
    Asleep { poll: Option<Instant> },
    /// Sleeps, and looks whether there is something that cannot ring.
    Polling { rung: bool },
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
    /// Some rows, and no more for now.
    Some,
    /// A full page; there may be more.
    More,
}

/// The dispatcher's side of the bell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bell {
    state: State,
    /// A statement of ours is under way.
    busy: bool,
    park_after: Duration,
    slow_poll: Option<Duration>,
}

impl Bell {
    /// A bell that is awake, and tries to sleep when it was quiet for so long.
    pub fn new(park_after: Duration, slow_poll: Option<Duration>, now: Instant) -> Self {
        let state = State::Awake { quiet_since: None, next: now, pause: FIRST_PAUSE };
        Self { state, busy: false, park_after, slow_poll }
    }

    /// The statement to run now, if any. The caller does it, and says how it ended; or, when it may
    /// not read now, asks again.
    pub fn act(&self, now: Instant) -> Option<Act> {
        if self.busy {
            return None;
        }
        match self.state {
            State::Awake { quiet_since: Some(since), .. } if now >= since + self.park_after => {
                Some(Act::Sleep)
            }
            State::Awake { next, .. } => (now >= next).then_some(Act::Read),
            State::Armed { rung: false } | State::Polling { rung: false } => Some(Act::Read),
            State::Asleep { poll } => poll.is_some_and(|poll| now >= poll).then_some(Act::Read),
            State::Armed { rung: true } | State::Polling { rung: true } | State::Waking => Some(Act::Wake),
            State::Taking => None,
        }
    }

    /// When to ask `act` again, if nothing else happens.
    pub fn next(&self) -> Option<Instant> {
        match self.state {
            State::Awake { quiet_since: Some(since), next, .. } => Some(next.min(since + self.park_after)),
            State::Awake { next, .. } => Some(next),
            State::Asleep { poll } => poll,
            _ => None,
        }
        .filter(|_| !self.busy)
    }

    /// True while the dispatcher sleeps.
    pub fn is_asleep(&self) -> bool {
        matches!(self.state, State::Asleep { .. } | State::Polling { .. })
    }

    /// `act` is being done.
    pub fn begun(&mut self, act: Act) {
        self.busy = true;
        match (act, self.state) {
            (Act::Sleep, _) => self.state = State::Taking,
            (Act::Wake, _) => self.state = State::Waking,
            (Act::Read, State::Asleep { .. }) => self.state = State::Polling { rung: false },
            (Act::Read, _) => {}
        }
    }

    /// A read has ended.
    pub fn read(&mut self, found: Found, now: Instant) {
        self.busy = false;
        self.state = match self.state {
            State::Awake { quiet_since, pause, .. } => match found {
                Found::More => State::Awake { quiet_since: None, next: now, pause: FIRST_PAUSE },
                Found::Some => {
                    State::Awake { quiet_since: None, next: now + FIRST_PAUSE, pause: FIRST_PAUSE }
                }
                Found::Nothing => State::Awake {
                    quiet_since: quiet_since.or(Some(now)),
                    next: now + pause,
                    pause: (pause * 2).min(LONGEST_PAUSE),
                },
            },
            State::Armed { rung } | State::Polling { rung } if rung || found != Found::Nothing => {
                State::Waking
            }
            State::Armed { .. } | State::Polling { .. } => self.fall_asleep(now),
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
                let quiet_since = plant::is_planted("sleep without a read").then_some(now);
                State::Awake { quiet_since, next: now + FIRST_PAUSE, pause: FIRST_PAUSE }
            }
        };
    }

    /// The bell was let go.
    pub fn let_go(&mut self, now: Instant) {
        self.busy = false;
        self.state = State::Awake { quiet_since: None, next: now, pause: FIRST_PAUSE };
    }

    /// Somebody rang.
    pub fn rung(&mut self) {
        match &mut self.state {
            State::Asleep { .. } => self.state = State::Waking,
            State::Armed { rung } | State::Polling { rung } => *rung = true,
            // A ring from before we were awake.
            State::Awake { .. } | State::Taking | State::Waking => {}
        }
    }

    fn fall_asleep(&self, now: Instant) -> State {
        State::Asleep { poll: self.slow_poll.map(|pause| now + pause) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARK: Duration = Duration::from_millis(50);

    fn quiet() -> (Bell, Instant) {
        let mut now = Instant::now();
        let mut bell = Bell::new(PARK, Some(Duration::from_secs(5)), now);
        while bell.act(now) != Some(Act::Sleep) {
            if bell.act(now) == Some(Act::Read) {
                bell.begun(Act::Read);
                assert_eq!(bell.act(now), None, "one statement at a time");
                bell.read(Found::Nothing, now);
            }
            now = bell.next().expect("awake, it always has something to do");
        }
        (bell, now)
    }

    fn asleep() -> (Bell, Instant) {
        let (mut bell, now) = quiet();
        bell.begun(Act::Sleep);
        bell.taken(true, now);
        assert_eq!(bell.act(now), Some(Act::Read), "it reads once more");
        bell.begun(Act::Read);
        bell.read(Found::Nothing, now);
        assert!(bell.is_asleep());
        (bell, now)
    }

    #[test]
    fn it_tries_to_sleep_when_reads_found_nothing_for_a_while() {
        let start = Instant::now();
        let (_, now) = quiet();
        assert!(now >= start + PARK && now < start + 2 * PARK);
    }

    #[test]
    fn a_row_found_by_the_read_after_taking_the_bell_keeps_it_awake() {
        let (mut bell, now) = quiet();
        bell.begun(Act::Sleep);
        bell.taken(true, now);
        bell.begun(Act::Read);
        bell.read(Found::Some, now);
        assert_eq!(bell.act(now), Some(Act::Wake));
        bell.begun(Act::Wake);
        bell.let_go(now);
        assert_eq!(bell.act(now), Some(Act::Read));
    }

    #[test]
    fn a_ring_while_it_falls_asleep_is_not_lost() {
        let (mut bell, now) = quiet();
        bell.begun(Act::Sleep);
        bell.taken(true, now);
        bell.begun(Act::Read);
        bell.rung();
        bell.read(Found::Nothing, now);
        assert_eq!(bell.act(now), Some(Act::Wake));
    }

    #[test]
    fn a_ring_wakes_it() {
        let (mut bell, now) = asleep();
        assert_eq!(bell.act(now), None);
        bell.rung();
        assert_eq!(bell.act(now), Some(Act::Wake));
    }

    #[test]
    fn a_publisher_about_to_commit_keeps_it_awake() {
        let (mut bell, now) = quiet();
        bell.begun(Act::Sleep);
        bell.taken(false, now);
        assert_eq!(bell.act(now), None);
        assert_eq!(bell.act(now + FIRST_PAUSE), Some(Act::Read));
    }

    #[test]
    fn a_bell_that_cannot_be_had_is_tried_again_only_after_a_read() {
        let now = Instant::now();
        let mut bell = Bell::new(Duration::ZERO, None, now);
        bell.begun(Act::Read);
        bell.read(Found::Nothing, now);
        for ms in 0..10 {
            let now = now + ms * FIRST_PAUSE;
            assert_eq!(bell.act(now), Some(Act::Sleep));
            bell.begun(Act::Sleep);
            bell.taken(false, now);
            let next = bell.next().expect("it is awake");
            assert_eq!(bell.act(next), Some(Act::Read), "else it would never read again");
            bell.begun(Act::Read);
            bell.read(Found::Nothing, next);
        }
    }

    #[test]
    fn the_slow_poll_looks_without_letting_the_bell_go() {
        let (mut bell, now) = asleep();
        let poll = bell.next().expect("there is a slow poll");
        assert_eq!(poll, now + Duration::from_secs(5));
        assert_eq!(bell.act(poll), Some(Act::Read));
        bell.begun(Act::Read);
        bell.read(Found::Nothing, poll);
        assert!(bell.is_asleep());
        assert_eq!(bell.next(), Some(poll + Duration::from_secs(5)));
    }

    #[test]
    fn without_a_slow_poll_only_the_bell_wakes_it() {
        let now = Instant::now();
        let mut bell = Bell::new(Duration::ZERO, None, now);
        bell.begun(Act::Read);
        bell.read(Found::Nothing, now);
        bell.begun(Act::Sleep);
        bell.taken(true, now);
        bell.begun(Act::Read);
        bell.read(Found::Nothing, now);
        assert_eq!((bell.act(now), bell.next()), (None, None));
    }
}
