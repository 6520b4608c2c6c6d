//! The window of a lane: how many messages may be in flight to one target.
//!
//! Answers widen it, refusals of overloaded copies narrow it. So it finds what the target can do.

use std::time::{Duration, Instant};

use super::copies::{Copies, CopyId};

/// The least a window shrinks to.
const LEAST: usize = 8;
/// An answer adds so much to a window. A refusal by the only copy takes one away, or two where
/// there are few; of several copies each refusal says the less, because NATS chooses among them
/// blindly.
const GROWTH: usize = 3;
/// After a refusal so many answers of the same copy do not widen the window: a quarter of the
/// window, and so many at least. It is known then how much the copy can do, and each message more
/// would be refused. Without this every answer was followed by three refusals. Answers of a copy
/// that does not refuse widen it all the time, so that a copy that hangs and refuses everything
/// does not keep the others from their work.
const HOLD_SHARE: usize = 4;
const LEAST_HOLD: usize = 16;
/// A message of a priority that has less than its part goes beside a full window: an eighth of it
/// more at most, so that a target that is at its limit refuses no more than these.
const BEYOND: usize = 8;
/// The pause between two cuts of a window that meets refusals, each by an eighth more, so that
/// others who send to the same target have a share.
const CUT_PAUSE: Duration = Duration::from_millis(100);
/// A full window that has met no refusal for so long grows by one even without answers. The
/// messages that fill it may be slow, and the target idle.
const RECOVERY: Duration = Duration::from_millis(100);

/// The window of a lane.
pub struct Window {
    size: usize,
    copies: Copies,
    /// When it was last cut.
    cut: Option<Instant>,
    /// Refusals since then.
    refusals: usize,
    /// Refusals that have taken nothing away yet.
    owed: usize,
    /// When it last met a refusal, or has grown by time since.
    narrowed: Option<Instant>,
}

impl Window {
    /// A window of so many messages, which has met no refusal.
    pub fn new(size: usize) -> Self {
        Self { size, copies: Copies::default(), cut: None, refusals: 0, owed: 0, narrowed: None }
    }

    /// Messages that may be in flight.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Messages that may be in flight where one priority has its part beside a full window. The
    /// window of a target that refuses says how much that can do, and there it is the bound.
    pub fn most(&self) -> usize {
        match self.narrowed {
            Some(_) => self.size,
            None => self.size + (self.size / BEYOND).max(1),
        }
    }

    /// Copies of the target that have spoken lately.
    pub fn copies(&self) -> usize {
        self.copies.len()
    }

    /// A copy has answered while so many places were used. Widens the window, but to no more than
    /// `most`. Returns whether the copy has refused lately; its answer widens nothing then.
    pub fn on_answer(&mut self, who: CopyId, used: usize, most: usize, now: Instant) -> bool {
        let held = self.copies.answered(who, now);
        // A window of which little is used says nothing.
        if !held && 2 * used >= self.size {
            self.size = (self.size + GROWTH).min(most);
        }
        held
    }

    /// A copy has too much to do.
    pub fn on_overload(&mut self, who: CopyId, now: Instant) {
        let answers = (self.size / HOLD_SHARE).max(LEAST_HOLD) / self.copies.len().max(1);
        self.copies.hold(who, answers.max(1), now);
        self.shrink(now);
    }

    fn shrink(&mut self, now: Instant) {
        let least = LEAST.min(self.size);
        if self.narrowed.is_none_or(|last| now >= last + CUT_PAUSE) {
            // Those of a burst long ago do not count.
            self.refusals = 0;
        }
        self.refusals += 1;
        let copies = self.copies.len().max(1);
        self.owed += 1;
        let mut less = self.owed / copies;
        self.owed %= copies;
        if self.cut.is_none_or(|last| now >= last + CUT_PAUSE) {
            // By no more than were refused: a copy that hangs refuses what others would take.
            less += (self.size / 8).min(std::mem::take(&mut self.refusals) / copies);
            self.cut = Some(now);
        }
        self.size = self.size.saturating_sub(less).max(least);
        self.narrowed = Some(now);
    }

    /// When it grows by time, if it is full then and somebody waits for room.
    pub fn ticks_at(&self) -> Option<Instant> {
        self.narrowed.map(|last| last + RECOVERY)
    }

    /// It was full for a while and has met no refusal.
    pub fn on_tick(&mut self, most: usize, now: Instant) {
        self.size = (self.size + 1).min(most);
        self.narrowed = (self.size < most).then_some(now);
    }
}
