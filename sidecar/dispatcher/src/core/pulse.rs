//! The signs of life of the session that leads: when it last answered, and why a statement of it
//! lasts.

use std::time::{Duration, Instant};

/// With no statement answered for so long the session is taken for dead: well before followers
/// depose it, which they do after 12 s, so that a black hole towards PostgreSQL is noticed on both
/// sides.
pub const SILENCE: Duration = Duration::from_secs(10);
/// With no statement answered for so long it is asked, by another session, whether this one waits
/// for a synchronous standby, and asked again after as long. A session that does is not dead.
const STANDBY_CHECK: Duration = Duration::from_secs(5);

/// The signs of life of a session.
pub struct Pulse {
    /// Statements that are under way.
    running: usize,
    /// When a statement was last answered, or the first one began after a while without any.
    answered: Instant,
    /// The time without an answer after which a heartbeat is asked for.
    heartbeat: Duration,
    /// A heartbeat is under way.
    beating: bool,
    /// It is being asked whether the session waits for a synchronous standby.
    asking: bool,
    /// When that is asked next at the earliest.
    next_question: Instant,
    /// When it was last seen to wait so, if it does.
    waits: Option<Instant>,
}

impl Pulse {
    /// The pulse of a session that has just answered.
    pub fn new(heartbeat: Duration, now: Instant) -> Self {
        Self {
            running: 0,
            answered: now,
            heartbeat,
            beating: false,
            asking: false,
            next_question: now,
            waits: None,
        }
    }

    /// True if a statement is not answered, and nothing explains it.
    pub fn is_dead(&self, now: Instant) -> bool {
        self.running > 0 && now >= self.dies_at()
    }

    /// When the session is taken for dead, if it gives no sign of life before: no answer, and no
    /// wait for a standby.
    fn dies_at(&self) -> Instant {
        self.waits.map_or(self.answered, |seen| seen.max(self.answered)) + SILENCE
    }

    /// When to look at it again.
    pub fn due(&self) -> Instant {
        let due = match self.beating {
            true => self.dies_at(),
            false => (self.answered + self.heartbeat).min(self.dies_at()),
        };
        self.question_due().map_or(due, |question| question.min(due))
    }

    /// True if it is time to ask for a heartbeat; it is taken for asked.
    pub fn beat(&mut self, now: Instant) -> bool {
        let begins = !self.beating && now >= self.answered + self.heartbeat;
        self.beating |= begins;
        begins
    }

    /// The first heartbeat is asked for.
    pub fn first_beat(&mut self) {
        self.beating = true;
    }

    /// The heartbeat has come back.
    pub fn beaten(&mut self) {
        self.beating = false;
    }

    /// A statement begins.
    pub fn begins(&mut self, now: Instant) {
        if self.running == 0 {
            self.answered = now;
        }
        self.running += 1;
    }

    /// A statement was answered. Returns true if the session was seen to wait for a standby until
    /// now.
    pub fn answers(&mut self, now: Instant) -> bool {
        self.running -= 1;
        self.answered = now;
        self.waits.take().is_some()
    }

    /// The answers of the statements that are under way are waited for no more.
    pub fn abandon(&mut self) {
        self.running = 0;
    }

    /// When to ask whether the session waits for a standby, if no statement is answered before.
    fn question_due(&self) -> Option<Instant> {
        let may_ask = !self.asking && self.running > 0;
        may_ask.then(|| self.next_question.max(self.answered + STANDBY_CHECK))
    }

    /// True if it is time to ask whether the session waits for a standby; it is taken for asked.
    pub fn ask(&mut self, now: Instant) -> bool {
        let asks = self.question_due().is_some_and(|due| now >= due);
        if asks {
            (self.asking, self.next_question) = (true, now + STANDBY_CHECK);
        }
        asks
    }

    /// The session waits for a standby, or does not. Returns true if that explains its silence.
    pub fn on_standby(&mut self, waits: bool, now: Instant) -> bool {
        self.asking = false;
        let explains = waits && self.running > 0;
        if explains {
            self.waits = Some(now);
        }
        explains
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEARTBEAT: Duration = Duration::from_secs(5);

    #[test]
    fn a_statement_without_an_answer_ends_the_session_unless_a_standby_explains_it() {
        let now = Instant::now();
        let mut pulse = Pulse::new(HEARTBEAT, now);
        assert!(!pulse.is_dead(now + 2 * SILENCE), "nothing was asked");
        let begun = now + 2 * SILENCE;
        pulse.begins(begun);
        assert!(!pulse.is_dead(begun + SILENCE / 2) && pulse.is_dead(begun + SILENCE));
        assert!(!pulse.ask(begun) && pulse.ask(begun + STANDBY_CHECK));
        assert!(!pulse.ask(begun + SILENCE), "one question at a time");
        assert!(pulse.on_standby(true, begun + STANDBY_CHECK));
        assert!(!pulse.is_dead(begun + SILENCE) && pulse.is_dead(begun + STANDBY_CHECK + SILENCE));
        assert!(pulse.answers(begun + SILENCE), "it has waited until now");
        assert!(!pulse.is_dead(begun + 3 * SILENCE));
    }

    #[test]
    fn a_heartbeat_is_asked_for_when_nothing_was_answered_for_a_while() {
        let now = Instant::now();
        let mut pulse = Pulse::new(HEARTBEAT, now);
        assert!(!pulse.beat(now));
        assert_eq!(pulse.due(), now + HEARTBEAT);
        assert!(pulse.beat(now + HEARTBEAT));
        assert!(!pulse.beat(now + 2 * HEARTBEAT), "one at a time");
        pulse.beaten();
        assert!(pulse.beat(now + 2 * HEARTBEAT));
    }
}
