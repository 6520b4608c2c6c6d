//! The refused messages of a lane, and when they are tried again.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tpro_wire::{
    priority::{ByPriority, Priority, Turns},
    random::Random,
};

use crate::core::{in_flight::Key, message::Refusal};

/// Refused messages kept per lane and priority, with their bodies; beyond it rows wait as ids.
pub const REFUSED_PER_LANE: usize = 8192;
/// The first pause before a lane that refused is tried again, and the longest.
pub const FIRST_REST: Duration = Duration::from_millis(50);
pub const LONGEST_REST: Duration = Duration::from_secs(1);
/// The shortest pause before an overloaded copy is tried again without an answer, and the longest.
const SHORTEST_REST: Duration = Duration::from_millis(2);
const LONGEST_BUSY_REST: Duration = Duration::from_millis(200);

/// The refused messages of a lane.
pub struct Refused {
    /// Keys by their priority, in the order of the refusals; also some of messages that were
    /// settled meanwhile.
    keys: ByPriority<VecDeque<Key>>,
    turns: Turns,
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
            keys: ByPriority::default(),
            turns: Turns::default(),
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

    /// True while the lane rests.
    pub fn rests(&self) -> bool {
        self.rest.is_some()
    }

    /// When the rest is over, if a message waits for that.
    pub fn rested_at(&self) -> Option<Instant> {
        self.rest.as_ref().filter(|_| self.all_keys() > 0).map(|rest| rest.until)
    }

    /// A message was refused. Returns whether it keeps its place in the window.
    pub fn push(
        &mut self,
        key: Key,
        priority: Priority,
        refusal: Refusal,
        random: &mut Random,
        now: Instant,
    ) -> bool {
        self.keys.get_mut(priority).push_back(key);
        self.alive += 1;
        self.overloaded += usize::from(keeps_its_place(refusal));
        self.rest.get_or_insert_with(|| Rest { until: now + random.jittered(FIRST_REST), pause: FIRST_REST });
        keeps_its_place(refusal)
    }

    /// A message that may be sent again now, if there is room, its priority, and whether it has
    /// kept its place in the window. While the lane rests it is one at a time. `refused` tells why
    /// a message was refused, if it still waits for another try.
    pub fn next(
        &mut self,
        has_room: bool,
        random: &mut Random,
        now: Instant,
        mut refused: impl FnMut(Key) -> Option<Refusal>,
    ) -> Option<(Key, Priority, bool)> {
        self.forget_settled(&mut refused);
        let rested = self.rest.as_ref().is_none_or(|rest| now >= rest.until);
        // Also when so many are refused that nothing new is taken up: else none would ever find out
        // that somebody is there.
        if !(rested || self.credit > 0) || !has_room {
            return None;
        }
        let (key, priority, refusal) = self.take(refused)?;
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
        let kept_its_place = self.leave(refusal);
        Some((key, priority, kept_its_place))
    }

    /// A message is no longer one of the refused. Returns whether it has kept its place in the
    /// window.
    pub fn leave(&mut self, refusal: Refusal) -> bool {
        let kept_its_place = keeps_its_place(refusal);
        self.alive -= 1;
        self.overloaded -= usize::from(kept_its_place);
        kept_its_place
    }

    /// Takes the first of the priority whose turn it is.
    fn take(&mut self, mut refused: impl FnMut(Key) -> Option<Refusal>) -> Option<(Key, Priority, Refusal)> {
        loop {
            let keys = &self.keys;
            let wants = |priority| !keys.get(priority).is_empty();
            let priority = self.turns.order().into_iter().find(|priority| wants(*priority))?;
            let found = self.keys.get_mut(priority).pop_front().and_then(|key| Some((key, refused(key)?)));
            if let Some((key, refusal)) = found {
                let keys = &self.keys;
                self.turns.took(priority, |other| !keys.get(other).is_empty());
                return Some((key, priority, refusal));
            }
        }
    }

    fn all_keys(&self) -> usize {
        self.keys.iter().map(|(_, keys)| keys.len()).sum()
    }

    /// Drops keys of messages that were settled meanwhile, so that a lane that stays dead does not
    /// grow.
    fn forget_settled(&mut self, mut refused: impl FnMut(Key) -> Option<Refusal>) {
        if self.all_keys() > 2 * self.alive + 64 {
            self.keys.values_mut().for_each(|keys| keys.retain(|key| refused(*key).is_some()));
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
        self.all_keys()
    }
}

/// True if a refused message keeps its place in the window.
fn keeps_its_place(refusal: Refusal) -> bool {
    refusal == Refusal::Overloaded { repeat: false }
}
