//! The belt of a lane: nothing is sent to a service before it is known that the Go system does not
//! answer for it.
//!
//! A copy of the Go system ends at a message of tpro. So a new lane is closed. When rows wait for
//! it, its service is asked in the form of the Go system. NATS says at once that nobody subscribes
//! to that, and the lane opens for good. A bystander who subscribes to `>` says nothing; so silence
//! opens the lane, too. While a Go copy answers, the lane stays closed and asks again after pauses.

use std::time::{Duration, Instant};

/// The time for an answer to the first question. A Go copy answers as soon as it reads it.
pub const ANSWER: Duration = Duration::from_millis(500);
/// The pause between questions while a Go copy answers. Each of them costs the copy a row. Where a
/// copy has answered before, its silence says nothing for as long.
pub const PAUSE: Duration = Duration::from_secs(5);
/// The pause before a question is tried again for which NATS had no room.
const NO_ROOM: Duration = Duration::from_millis(10);

/// The belt of a lane.
pub struct Belt {
    state: State,
    /// The number of the last question; 0: none.
    question: u32,
}

enum State {
    /// Messages may be sent.
    Open,
    Closed {
        /// A Go copy has answered.
        go: bool,
        step: Step,
    },
}

enum Step {
    /// It is to be asked, not before this moment.
    Ask(Option<Instant>),
    /// It was asked at this moment.
    Asked(Instant),
}

impl Belt {
    /// The belt of a service that is to be asked.
    pub fn closed() -> Self {
        Self { state: State::Closed { go: false, step: Step::Ask(None) }, question: 0 }
    }

    /// The belt of a service that is not to be asked.
    pub fn open() -> Self {
        Self { state: State::Open, question: 0 }
    }

    /// True while nothing may be sent.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// True while a Go copy answers.
    pub fn is_go(&self) -> bool {
        matches!(self.state, State::Closed { go: true, .. })
    }

    /// The number of the last question.
    pub fn question(&self) -> u32 {
        self.question
    }

    /// True if the service is to be asked now, by the question of this number. `waits` says whether
    /// rows wait.
    pub fn asks(&mut self, number: u32, waits: bool, now: Instant) -> bool {
        match &mut self.state {
            State::Closed { go, step: step @ Step::Ask(_) } if *go || waits => {
                if matches!(step, Step::Ask(Some(from)) if now < *from) {
                    return false;
                }
                *step = Step::Asked(now);
                self.question = number;
                true
            }
            _ => false,
        }
    }

    /// NATS had no room for the question.
    pub fn not_asked(&mut self, now: Instant) {
        self.asks_again(Some(now + NO_ROOM));
    }

    /// The connection is another one: a question that is under way, or its answer, may be lost.
    pub fn reconnected(&mut self) {
        self.asks_again(None);
    }

    fn asks_again(&mut self, from: Option<Instant>) {
        if let State::Closed { step: step @ Step::Asked(_), .. } = &mut self.state {
            *step = Step::Ask(from);
        }
    }

    /// A Go copy has answered, perhaps later than it was waited for. Returns whether that is news.
    pub fn on_go(&mut self, now: Instant) -> bool {
        let news = !self.is_go();
        self.state = State::Closed { go: true, step: Step::Ask(Some(now + PAUSE)) };
        news
    }

    /// No Go copy is there. Returns whether that is news.
    pub fn on_nobody(&mut self) -> bool {
        let news = self.is_go();
        self.state = State::Open;
        news
    }

    /// Opens it if its question was not answered in time. Returns whether that is news.
    pub fn on_time(&mut self, now: Instant) -> bool {
        self.silent_at().is_some_and(|at| now >= at) && self.on_nobody()
    }

    /// When silence opens it.
    fn silent_at(&self) -> Option<Instant> {
        match self.state {
            State::Closed { go, step: Step::Asked(at) } => Some(at + if go { PAUSE } else { ANSWER }),
            _ => None,
        }
    }

    /// When there is something to do for it, if nothing happens before.
    pub fn due(&self) -> Option<Instant> {
        match self.state {
            State::Closed { step: Step::Ask(from), .. } => from,
            _ => self.silent_at(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_without_rows_is_not_asked_and_one_with_rows_is_asked_once() {
        let (mut belt, now) = (Belt::closed(), Instant::now());
        assert!(!belt.asks(1, false, now) && belt.due().is_none());
        assert!(belt.asks(1, true, now) && !belt.asks(2, true, now));
        assert!(!belt.on_nobody(), "nobody was told that it was closed");
        assert!(!belt.is_closed() && !belt.asks(2, true, now + PAUSE));
    }

    #[test]
    fn silence_opens_it_and_a_late_answer_closes_it_again() {
        let (mut belt, now) = (Belt::closed(), Instant::now());
        assert!(belt.asks(1, true, now));
        assert!(!belt.on_time(now + ANSWER - Duration::from_millis(1)) && belt.is_closed());
        assert_eq!(belt.due(), Some(now + ANSWER));
        assert!(!belt.on_time(now + ANSWER) && !belt.is_closed());
        assert!(belt.on_go(now + ANSWER) && belt.is_closed());
    }

    #[test]
    fn while_a_go_copy_answers_it_is_closed_and_asks_after_pauses() {
        let (mut belt, mut now) = (Belt::closed(), Instant::now());
        for number in 1..4 {
            assert!(belt.asks(number, number == 1, now), "also without rows, for readiness");
            assert_eq!(belt.on_go(now), number == 1);
            assert!(belt.is_go() && !belt.asks(9, true, now));
            now += PAUSE;
            assert_eq!(belt.due(), Some(now));
        }
        assert!(belt.asks(4, false, now));
        assert!(!belt.on_time(now + ANSWER) && belt.is_closed(), "a busy copy may take its time");
        assert!(belt.on_time(now + PAUSE) && !belt.is_closed());
    }

    #[test]
    fn a_question_that_did_not_go_out_or_was_lost_is_asked_again() {
        let (mut belt, now) = (Belt::closed(), Instant::now());
        assert!(belt.asks(1, true, now));
        belt.not_asked(now);
        assert!(!belt.asks(2, true, now) && belt.asks(2, true, now + NO_ROOM));
        belt.reconnected();
        assert!(!belt.on_time(now + PAUSE) && belt.is_closed(), "nobody was asked over this connection");
        assert!(belt.asks(3, true, now));
    }
}
