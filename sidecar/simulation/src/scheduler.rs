//! The scheduler: events in a queue by their time, and a clock that jumps to the next of them.
//!
//! Events of one moment come in an order that the generator chooses. The run of a seed is so the run of its choices, and
//! nothing else decides: no real clock, no thread, no hash map.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use crate::{random::Random, time::Time};

/// An event's place in the queue, by which it can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    at: Time,
    /// The order among events of the same moment.
    draw: u64,
    /// Counted, so that no two places are the same. The later one is first where the draws are the same.
    number: Reverse<u64>,
}

/// Events of type `E` to come.
#[derive(Clone, Debug)]
pub struct Scheduler<E> {
    now: Time,
    queue: BTreeMap<Ticket, E>,
    scheduled: u64,
    random: Random,
}

impl<E> Scheduler<E> {
    /// The scheduler of this seed, at the beginning of time, with nothing to come.
    pub fn new(seed: u64) -> Self {
        Self { now: Time::START, queue: BTreeMap::new(), scheduled: 0, random: Random::new(seed) }
    }

    /// The present moment.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The generator: every choice of the simulation is drawn from it.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Schedules an event at a moment; at the present one if that is over.
    pub fn at(&mut self, at: Time, event: E) -> Ticket {
        self.scheduled += 1;
        let draw = self.random.next_u64();
        let ticket = Ticket { at: at.max(self.now), draw, number: Reverse(self.scheduled) };
        self.queue.insert(ticket, event);
        ticket
    }

    /// Schedules an event after a span.
    pub fn after(&mut self, span: Duration, event: E) -> Ticket {
        self.at(self.now + span, event)
    }

    /// Takes an event back; none if it has come.
    pub fn take_back(&mut self, ticket: Ticket) -> Option<E> {
        self.queue.remove(&ticket)
    }

    /// The next event: the clock jumps to it.
    pub fn next_event(&mut self) -> Option<E> {
        let (ticket, event) = self.queue.pop_first()?;
        self.now = ticket.at;
        Some(event)
    }

    /// The time of the next event.
    pub fn next_at(&self) -> Option<Time> {
        self.queue.first_key_value().map(|(ticket, _)| ticket.at)
    }

    /// The number of events to come.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// True if nothing is to come.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn run(seed: u64) -> Vec<(u64, u32)> {
        let mut scheduler = Scheduler::new(seed);
        for event in 0..4 {
            scheduler.at(Time::of_micros(10), event);
        }
        let mut order = Vec::new();
        while let Some(event) = scheduler.next_event() {
            order.push((scheduler.now().micros(), event));
            if event < 4 {
                let span = Duration::from_micros(scheduler.random().below(5));
                scheduler.after(span, event + 4);
            }
        }
        order
    }

    #[test]
    fn a_seed_replays_to_the_letter() {
        for seed in 0..50 {
            assert_eq!(run(seed), run(seed));
        }
    }

    #[test]
    fn events_of_one_moment_come_in_each_order_and_time_never_goes_back() {
        let orders: BTreeSet<Vec<u32>> = (0..200)
            .map(|seed| {
                let order = run(seed);
                assert!(order.is_sorted_by_key(|(at, _)| *at), "{order:?}");
                order.iter().map(|(_, event)| *event).filter(|event| *event < 4).collect()
            })
            .collect();
        assert_eq!(orders.len(), 24, "four events have 24 orders");
    }

    #[test]
    fn the_clock_jumps_to_the_next_event_and_what_is_taken_back_does_not_come() {
        let mut scheduler = Scheduler::new(1);
        let later = scheduler.after(Duration::from_secs(3_600), "later");
        scheduler.after(Duration::from_secs(60), "sooner");
        assert_eq!(scheduler.next_event(), Some("sooner"));
        assert_eq!(scheduler.now(), Time::of_micros(60_000_000));
        scheduler.at(Time::START, "overdue");
        assert_eq!(scheduler.next_at(), Some(scheduler.now()));
        assert_eq!(scheduler.next_event(), Some("overdue"));
        assert_eq!(scheduler.take_back(later), Some("later"));
        assert_eq!((scheduler.next_event(), scheduler.len()), (None, 0));
    }
}
