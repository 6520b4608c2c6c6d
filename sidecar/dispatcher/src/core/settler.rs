//! Outcomes on their way into `mq_reply`: collected for a moment, written by one statement.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::settled::Settled;

/// A batch is written when it has so many outcomes, or when the first of them is so old.
const BATCH: usize = 500;
const PATIENCE: Duration = Duration::from_millis(1);
/// After a batch of no more outcomes than these, the next is written at once: few come, and one
/// that waits for company waits in vain.
const FEW: usize = 8;
/// The most outcomes of one statement: what collected while two batches were being written.
const LARGEST: usize = 2000;
/// The most bytes of one statement; a larger single outcome goes alone.
const LARGEST_BYTES: usize = 4 << 20;
/// Batches written at a time: the session runs them one after the other, and must not run dry
/// between two.
const WRITERS: usize = 2;
/// The pause before an outcome is tried again whose row somebody else has in hand.
const HELD_PAUSE: Duration = Duration::from_secs(1);

/// Outcomes to be written by one statement.
#[derive(Debug)]
pub struct Batch {
    /// The outcomes.
    pub outcomes: Vec<Settled>,
    /// It is one outcome that was held before.
    pub retry: bool,
}

/// The end of a batch.
#[derive(Debug)]
pub struct Written {
    /// Outcomes that are written.
    pub done: Vec<Settled>,
    /// Those that could not be, since another transaction is writing the reply of the same row, or
    /// something has swallowed it.
    pub held: Vec<Settled>,
    /// Those that were not tried, since reply handlers have been named: they may have one now.
    pub again: Vec<Settled>,
    /// Those that are held and were swallowed: the INSERT succeeded, and the reply is not there.
    pub swallowed: Vec<i64>,
    /// It was a try of one outcome that was held before.
    pub retry: bool,
}

/// The outcomes that are not written yet.
#[derive(Default)]
pub struct Settler {
    queue: VecDeque<Settled>,
    oldest: Option<Instant>,
    writing: usize,
    /// When the oldest batch that is being written began, if none was then, and its outcomes.
    began: Option<(Instant, usize)>,
    /// The number of outcomes of the last batch.
    last: usize,
    /// Outcomes whose rows others have in hand, and when each is tried again: alone, since it would
    /// fail all of a batch.
    held: VecDeque<(Instant, Settled)>,
    /// One of them is being tried: one at a time, since it may keep the session waiting.
    retrying: bool,
    /// The last batch was one of them: then the collected ones have their turn.
    retried: bool,
}

impl Settler {
    pub fn push(&mut self, settled: Settled, now: Instant) {
        self.oldest.get_or_insert(now);
        self.queue.push_back(settled);
    }

    /// A batch to write now, if it is time for one.
    pub fn batch(&mut self, now: Instant) -> Option<Batch> {
        if self.writing >= WRITERS {
            return None;
        }
        let collected = self.collected().is_some_and(|due| now >= due);
        let again = self.again().is_some_and(|again| now >= again);
        if again && !(collected && self.retried) {
            (self.retrying, self.retried) = (true, true);
            self.writing += 1;
            let outcomes = self.held.pop_front().map(|(_, settled)| settled).into_iter().collect();
            return Some(Batch { outcomes, retry: true });
        }
        if !collected {
            return None;
        }
        self.retried = false;
        let mut bytes = 0;
        let fits = |settled: &&Settled| {
            bytes += settled.bytes;
            bytes <= LARGEST_BYTES
        };
        let count = self.queue.iter().take(LARGEST).take_while(fits).count().max(1);
        let outcomes: Vec<_> = self.queue.drain(..count).collect();
        self.oldest = (!self.queue.is_empty()).then_some(now);
        if self.writing == 0 {
            self.began = Some((now, count));
        }
        self.writing += 1;
        self.last = count;
        Some(Batch { outcomes, retry: false })
    }

    /// A batch was written, but for what is held. Gives its outcomes and the time it took, if
    /// nothing else was being written when it began.
    pub fn written(&mut self, held: Vec<Settled>, retry: bool, now: Instant) -> Option<(usize, Duration)> {
        self.writing -= 1;
        if retry {
            self.retrying = false;
        }
        self.held.extend(held.into_iter().map(|settled| (now + HELD_PAUSE, settled)));
        // Batches end in the order in which they began.
        let (began, rows) = self.began.take()?;
        Some((rows, now.saturating_duration_since(began)))
    }

    /// A batch cannot be written for now: its time says nothing.
    pub fn pauses(&mut self) {
        self.began = None;
    }

    /// When to ask for a batch.
    pub fn due(&self) -> Option<Instant> {
        self.again().into_iter().chain(self.collected()).min()
    }

    /// When the next that is held is tried again.
    fn again(&self) -> Option<Instant> {
        let free = !self.retrying && self.writing < WRITERS;
        self.held.front().map(|(again, _)| *again).filter(|_| free)
    }

    /// When the collected outcomes are a batch. While one is being written only a full one goes
    /// behind it: the session would not begin with it before, and what a statement costs by itself
    /// is shared by its rows.
    fn collected(&self) -> Option<Instant> {
        let oldest = self.oldest?;
        match self.queue.len() >= BATCH {
            true => (self.writing < WRITERS).then_some(oldest),
            false if self.last <= FEW => (self.writing == 0).then_some(oldest),
            false => (self.writing == 0).then_some(oldest + PATIENCE),
        }
    }

    /// Nothing waits and nothing is being written.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.held.is_empty() && self.writing == 0
    }
}

#[cfg(test)]
mod tests {
    use tpro_wire::target::Target;

    use super::*;
    use crate::core::settled::settled_of;

    fn settled(bytes: usize) -> Settled {
        settled_of(Target::new("tpro", "co", "example", "x").expect("is a target"), bytes)
    }

    #[test]
    fn a_batch_waits_a_moment_for_company_unless_it_is_full() {
        let (mut settler, now) = (Settler::default(), Instant::now());
        (0..BATCH).for_each(|_| settler.push(settled(1), now));
        assert!(settler.batch(now).is_some());
        settler.written(Vec::new(), false, now);
        settler.push(settled(1), now);
        assert!(settler.batch(now).is_none());
        assert_eq!(settler.due(), Some(now + PATIENCE));
        (1..BATCH).for_each(|_| settler.push(settled(1), now));
        assert_eq!(settler.batch(now).map(|batch| batch.outcomes.len()), Some(BATCH));
        assert!(!settler.is_idle());
        settler.written(Vec::new(), false, now);
        assert!(settler.is_idle());
    }

    #[test]
    fn an_outcome_that_has_no_company_is_written_at_once() {
        let (mut settler, now) = (Settler::default(), Instant::now());
        for _ in 0..3 {
            settler.push(settled(1), now);
            assert_eq!(settler.batch(now).map(|batch| batch.outcomes.len()), Some(1));
            // Those that come meanwhile are a batch when it is written.
            settler.push(settled(1), now);
            assert!(settler.batch(now).is_none());
            settler.written(Vec::new(), false, now);
            assert_eq!(settler.batch(now).map(|batch| batch.outcomes.len()), Some(1));
            settler.written(Vec::new(), false, now);
        }
        (0..=FEW).for_each(|_| settler.push(settled(1), now));
        assert!(settler.batch(now).is_some());
        settler.written(Vec::new(), false, now);
        settler.push(settled(1), now);
        assert_eq!(settler.due(), Some(now + PATIENCE), "more come, and the next waits for them");
    }

    #[test]
    fn what_is_held_by_others_is_tried_alone_after_a_pause_and_holds_up_nobody() {
        let (mut settler, now) = (Settler::default(), Instant::now());
        (0..BATCH).for_each(|_| settler.push(settled(1), now));
        let batch = settler.batch(now).expect("it is full");
        settler.written(batch.outcomes.into_iter().take(2).collect(), false, now);
        assert!(!settler.is_idle());
        assert_eq!(settler.due(), Some(now + HELD_PAUSE));
        let later = now + HELD_PAUSE;
        (0..2 * BATCH).for_each(|_| settler.push(settled(1), later));
        // By turns, and one of the held at a time.
        let first = settler.batch(later).expect("one that was held is due");
        assert!(first.retry && first.outcomes.len() == 1);
        let second = settler.batch(later).expect("what was collected has its turn");
        assert!(!second.retry && second.outcomes.len() > 1);
        settler.written(Vec::new(), second.retry, later);
        assert!(settler.batch(later).is_none_or(|batch| !batch.retry), "the first is still being tried");
    }

    #[test]
    fn two_batches_are_written_at_a_time_and_the_next_takes_what_collected() {
        let (mut settler, now) = (Settler::default(), Instant::now());
        (0..4 * BATCH).for_each(|_| settler.push(settled(4000), now));
        let bytes = settler.batch(now).expect("it is full").outcomes.len();
        assert_eq!(bytes, LARGEST_BYTES / 4000);
        assert!(settler.batch(now + PATIENCE).is_some());
        assert!(settler.batch(now + PATIENCE).is_none());
        assert_eq!(settler.due(), None);
    }
}
