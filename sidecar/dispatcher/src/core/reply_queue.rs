//! Outcomes that wait for a reply handler: a queue per target, and who is next.
//!
//! A handler that hangs keeps its place until its time is up, and many of them could keep all there
//! are. So a target may have no more handlers at work than places are left over (the rule of the
//! lanes, see [`super::lanes`]): of eight places one target gets four at most, the next two, and
//! the third still one.

use std::collections::VecDeque;

use super::settled::Settled;

/// The outcomes that wait for the handler of one target, and the number at work.
struct Queue {
    target: Box<str>,
    waiting: VecDeque<Settled>,
    at_work: usize,
}

/// The queue that an outcome came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(usize);

/// All queues. There are as many as methods have had reply handlers.
pub struct ReplyQueue {
    /// Handlers at work at a time.
    most: usize,
    at_work: usize,
    waiting: usize,
    queues: Vec<Queue>,
    /// The queue whose turn is next.
    turn: usize,
}

impl ReplyQueue {
    /// One for a pool of so many connections: a quarter of them is left to those who answer
    /// requests, and to everybody else.
    pub fn new(pool: usize) -> Self {
        Self { most: (pool - pool / 4).max(1), at_work: 0, waiting: 0, queues: Vec::new(), turn: 0 }
    }

    pub fn push(&mut self, settled: Settled) {
        let target = settled.settlement.target.service_method();
        let at = self.queues.iter().position(|queue| &*queue.target == target);
        let at = at.unwrap_or_else(|| {
            self.queues.push(Queue { target: target.into(), waiting: VecDeque::new(), at_work: 0 });
            self.queues.len() - 1
        });
        self.queues[at].waiting.push_back(settled);
        self.waiting += 1;
    }

    /// The next outcome whose handler may begin; it is at work until [`Self::done`].
    pub fn next(&mut self) -> Option<(Place, Settled)> {
        let left = self.most - self.at_work;
        if left == 0 || self.waiting == 0 {
            return None;
        }
        let count = self.queues.len();
        let turns = (0..count).map(|step| (self.turn + step) % count);
        let at = turns.into_iter().find(|at| {
            let queue = &self.queues[*at];
            !queue.waiting.is_empty() && queue.at_work < left
        })?;
        let settled = self.queues[at].waiting.pop_front()?;
        self.queues[at].at_work += 1;
        self.at_work += 1;
        self.waiting -= 1;
        self.turn = at + 1;
        Some((Place(at), settled))
    }

    /// A handler has ended.
    pub fn done(&mut self, place: Place) {
        self.queues[place.0].at_work -= 1;
        self.at_work -= 1;
    }

    /// True if nothing waits and no handler is at work.
    pub fn is_idle(&self) -> bool {
        self.waiting == 0 && self.at_work == 0
    }
}

#[cfg(test)]
mod tests {
    use tpro_wire::target::Target;

    use super::*;
    use crate::core::settled::settled_of;

    fn queue(pool: usize, targets: &[(&str, usize)]) -> ReplyQueue {
        let mut queue = ReplyQueue::new(pool);
        for (entity, count) in targets {
            let target = Target::new("tpro", "co", entity, "x").expect("is a target");
            (0..*count).for_each(|_| queue.push(settled_of(target.clone(), 1)));
        }
        queue
    }

    fn begin(queue: &mut ReplyQueue) -> Vec<String> {
        std::iter::from_fn(|| queue.next())
            .map(|(_, settled)| {
                settled.settlement.target.method().split('.').next().unwrap_or_default().to_owned()
            })
            .collect()
    }

    #[test]
    fn one_target_gets_half_of_the_places_and_the_next_half_of_the_rest() {
        let mut queue = queue(10, &[("a", 20)]);
        assert_eq!(begin(&mut queue).len(), 4);
        (0..20).for_each(|_| queue.push(settled_of(Target::new("tpro", "co", "b", "x").expect("is one"), 1)));
        assert_eq!(begin(&mut queue), ["b", "b"]);
        queue.push(settled_of(Target::new("tpro", "co", "c", "x").expect("is one"), 1));
        assert_eq!(begin(&mut queue), ["c"]);
    }

    #[test]
    fn targets_take_turns_and_nothing_is_forgotten() {
        let mut queue = queue(4, &[("a", 3), ("b", 3)]);
        let mut order = Vec::new();
        while let Some((place, settled)) = queue.next() {
            order.push(settled.settlement.target.method().to_owned());
            queue.done(place);
        }
        assert_eq!(order, ["a.x", "b.x", "a.x", "b.x", "a.x", "b.x"]);
        assert!(queue.is_idle());
    }

    #[test]
    fn a_pool_of_one_connection_has_a_place() {
        let mut queue = queue(1, &[("a", 2)]);
        let (place, _) = queue.next().expect("there is one");
        assert!(queue.next().is_none());
        queue.done(place);
        assert!(queue.next().is_some());
    }
}
