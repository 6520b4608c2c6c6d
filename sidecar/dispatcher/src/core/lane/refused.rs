//! The refused messages of a lane, and when they are tried again.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tpro_wire::random::Random;

use crate::core::{in_flight::Key, message::Refusal};

/// Refused messages kept per lane, with their bodies; beyond it the lane's rows wait as ids.
pub const REFUSED_PER_LANE: usize = 8192;
/// The first pause before a lane that refused is tried again, and the longest.
pub const FIRST_REST: Duration = Duration::from_millis(50);
pub const LONGEST_REST: Duration = Duration::from_secs(1);
/// The shortest pause before an overloaded copy is tried again without an answer, and the longest.
const SHORTEST_REST: Duration = Duration::from_millis(2);
const LONGEST_BUSY_REST: Duration = Duration::from_millis(200);

/// The refused messages of a lane.
pub struct Refused {
    /// Keys in the order of the refusals; also some of messages that were settled meanwhile.
    keys: VecDeque<Key>,
    /// Those that are still in flight.
    alive: usize,
    /// Those of them that an overloaded copy refused, but for repeats. They keep their places in
    /// the window: a lane that took up new ones for them would have the budgets of more and more
    /// run out while the target works on a few.
    overloaded: usize,
    rest: Option<Rest>,
    /// Refused messages that may be tried while the lane rests: one for each answer of a copy that
    /// has refused, whose place is free now.
    credit: usize,
    /// When the lane was last answered, and the mean time between two answers.
    answered: Option<Instant>,
    pace: Duration,
}

/// The target refused: no refused message is tried before `until`.
struct Rest {
    until: Instant,
    pause: Duration,
}

impl Refused {
    pub fn new() -> Self {
        Self {
            keys: VecDeque::new(),
            alive: 0,
            overloaded: 0,
            rest: None,
            credit: 0,
            answered: None,
            pace: FIRST_REST,
        }
    }

    /// Refused messages that are in flight.
    pub fn len(&self) -> usize {
        self.alive
    }

    /// Those of them that hold a place in the window.
    pub fn in_places(&self) -> usize {
        self.overloaded
    }

    /// Those of them that hold no place in the window.
    pub fn absent(&self) -> usize {
        self.alive - self.overloaded
    }

    /// True if no more can be kept.
    pub fn is_full(&self) -> bool {
        self.alive >= REFUSED_PER_LANE
    }

    /// True while the lane rests.
    pub fn rests(&self) -> bool {
        self.rest.is_some()
    }

    /// When the rest is over, if a message waits for that.
    pub fn rested_at(&self) -> Option<Instant> {
        self.rest.as_ref().filter(|_| !self.keys.is_empty()).map(|rest| rest.until)
    }

    /// A message was refused. Returns whether it keeps its place in the window.
    pub fn push(&mut self, key: Key, refusal: Refusal, random: &mut Random, now: Instant) -> bool {
        self.keys.push_back(key);
        self.alive += 1;
        self.overloaded += usize::from(keeps_its_place(refusal));
        self.rest.get_or_insert_with(|| Rest { until: now + random.jittered(FIRST_REST), pause: FIRST_REST });
        keeps_its_place(refusal)
    }

    /// A message that may be sent again now, if there is room. While the lane rests it is one at a
    /// time. `refused` tells why a message was refused, if it still waits for another try.
    pub fn next(
        &mut self,
        has_room: bool,
        random: &mut Random,
        now: Instant,
        mut refused: impl FnMut(Key) -> Option<Refusal>,
    ) -> Option<Key> {
        self.forget_settled(&mut refused);
        let rested = self.rest.as_ref().is_none_or(|rest| now >= rest.until);
        // Also when so many are refused that nothing new is taken up: else none would ever find out
        // that somebody is there.
        if !(rested || self.credit > 0) || !has_room {
            return None;
        }
        let (key, refusal) = std::iter::from_fn(|| self.keys.pop_front())
            .find_map(|key| refused(key).map(|refusal| (key, refusal)))?;
        if !rested {
            self.credit -= 1;
        }
        if let Some(rest) = &mut self.rest {
            rest.pause = match refusal {
                // A busy target can free up at any moment, and then others come, too.
                Refusal::Overloaded { .. } => (rest.pause * 2).min(LONGEST_BUSY_REST),
                Refusal::NoResponders | Refusal::Forbidden | Refusal::Unsupported(_) => {
                    (rest.pause * 2).min(LONGEST_REST)
                }
            };
            rest.until = now + random.jittered(rest.pause);
        }
        self.leave(refusal);
        Some(key)
    }

    /// A message is no longer one of the refused.
    pub fn leave(&mut self, refusal: Refusal) {
        self.alive -= 1;
        self.overloaded -= usize::from(keeps_its_place(refusal));
    }

    /// Drops keys of messages that were settled meanwhile, so that a lane that stays dead does not
    /// grow.
    fn forget_settled(&mut self, mut refused: impl FnMut(Key) -> Option<Refusal>) {
        if self.keys.len() > 2 * self.alive + 64 {
            self.keys.retain(|key| refused(*key).is_some());
        }
    }

    /// One of so many copies has answered: one that has refused lately (`held`), or another.
    pub fn on_answer(&mut self, held: bool, copies: usize, now: Instant) {
        if let Some(last) = self.answered.replace(now) {
            let gap = now.saturating_duration_since(last).min(LONGEST_REST);
            self.pace = (self.pace * 7 + gap) / 8;
        }
        if !held {
            (self.rest, self.credit) = (None, 0);
            return;
        }
        if let Some(rest) = &mut self.rest {
            rest.pause = self.pace.clamp(SHORTEST_REST, FIRST_REST);
        }
        // A place is free there, and no more than that. NATS may choose any of the copies.
        self.credit = (self.credit + copies).min(self.alive);
    }

    /// Somebody is there: a long rest is over.
    pub fn on_presence(&mut self) {
        if self.rest.as_ref().is_some_and(|rest| rest.pause > FIRST_REST) {
            self.rest = None;
        }
    }

    /// A copy is back: all may try again now.
    pub fn on_return(&mut self, now: Instant) {
        if let Some(rest) = &mut self.rest {
            *rest = Rest { until: now, pause: FIRST_REST };
        }
    }

    /// Keys that are kept.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.keys.len()
    }
}

/// True if a refused message keeps its place in the window.
fn keeps_its_place(refusal: Refusal) -> bool {
    refusal == Refusal::Overloaded { repeat: false }
}
