//! Places for a fixed number of users. Those who wait for one get it by their priority.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;
use tpro_wire::priority::{ByPriority, Priority, Turns};

/// The places.
#[derive(Clone)]
pub(super) struct Places(Arc<Mutex<State>>);

struct State {
    /// Places that nobody has. While one is free nobody waits.
    free: usize,
    /// Those who wait, in the order in which they came. Some have gone away meanwhile.
    waiting: ByPriority<VecDeque<oneshot::Sender<Place>>>,
    turns: Turns,
    closed: bool,
}

/// A place, given back when it is dropped.
pub(super) struct Place(Option<Places>);

/// There are no places any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Closed;

impl Places {
    /// So many.
    pub fn new(count: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: count,
            waiting: ByPriority::default(),
            turns: Turns::default(),
            closed: false,
        })))
    }

    /// Waits for a place. Of those who wait, each priority has its turns by its weight, so that
    /// none waits for ever.
    pub async fn take(&self, priority: Priority) -> Result<Place, Closed> {
        let place = {
            let mut state = self.lock();
            if state.closed {
                return Err(Closed);
            }
            if state.free > 0 {
                state.free -= 1;
                return Ok(Place(Some(self.clone())));
            }
            let (to, place) = oneshot::channel();
            let queue = state.waiting.get_mut(priority);
            // Nothing else takes them away while no place becomes free.
            while queue.front().is_some_and(oneshot::Sender::is_closed) {
                queue.pop_front();
            }
            queue.push_back(to);
            place
        };
        place.await.map_err(|_| Closed)
    }

    /// The number of those who wait.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.iter().flat_map(|(_, queue)| queue).filter(|one| !one.is_closed()).count()
    }

    /// Ends the wait of all, and gives out nothing more.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.values_mut().for_each(VecDeque::clear);
    }

    /// Gives a place that has become free to the next one.
    fn hand_on(self) {
        loop {
            let next = self.lock().next();
            let Some(next) = next else { return };
            // Without the lock in hand: a place that nobody takes would come back here.
            match next.send(Place(Some(self.clone()))) {
                Ok(()) => return,
                Err(mut unclaimed) => unclaimed.0 = None,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next one who waits. Without one the place is free.
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        for priority in self.turns.order() {
            while let Some(next) = self.waiting.get_mut(priority).pop_front() {
                if next.is_closed() {
                    continue;
                }
                let waiting = &self.waiting;
                self.turns.took(priority, |other| !waiting.get(other).is_empty());
                return Some(next);
            }
        }
        self.free += 1;
        None
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(places) = self.0.take() {
            places.hand_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, future::BoxFuture};

    use super::*;

    fn priority(number: i32) -> Priority {
        Priority::of(number)
    }

    /// Somebody who waits: `None` until the place is there.
    struct Waiter<'a>(BoxFuture<'a, Result<Place, Closed>>);

    impl<'a> Waiter<'a> {
        fn of(places: &'a Places, number: i32) -> Self {
            let mut waiter = Self(places.take(priority(number)).boxed());
            assert!(waiter.place().is_none(), "it has to wait");
            waiter
        }

        fn place(&mut self) -> Option<Place> {
            (&mut self.0).now_or_never().map(|place| place.expect("they are open"))
        }
    }

    fn taken(places: &Places) -> Place {
        places.take(priority(0)).now_or_never().expect("one is free").expect("they are open")
    }

    #[test]
    fn the_highest_goes_first_and_equals_in_their_order() {
        let places = Places::new(1);
        let mut held = taken(&places);
        let mut waiters = [0, 0, 3, 1, 3].map(|number| Waiter::of(&places, number));
        assert_eq!(places.waiting(), 5);
        for expected in [2, 4, 3, 0, 1] {
            drop(held);
            let mut came = (0..waiters.len()).filter_map(|n| waiters[n].place().map(|place| (n, place)));
            let (which, place) = came.next().expect("one has it");
            assert_eq!(which, expected);
            drop(came);
            held = place;
            // Polled no more.
            waiters[which] = Waiter(futures_util::future::pending().boxed());
        }
        assert_eq!(places.waiting(), 0);
    }

    #[test]
    fn the_lowest_has_its_turns_in_a_flood_of_the_highest() {
        let places = Places::new(1);
        let mut held = Some(taken(&places));
        let mut high: VecDeque<Waiter<'_>> = (0..40).map(|_| Waiter::of(&places, 3)).collect();
        let mut low = Waiter::of(&places, 0);
        let served = (0..20).find(|_| {
            drop(held.take());
            if let Some(place) = low.place() {
                held = Some(place);
                return true;
            }
            held = high[0].place();
            assert!(held.is_some(), "somebody has it");
            high.pop_front();
            false
        });
        // Its weight is 1 of 9.
        assert!(served.is_some_and(|turn| (1..=9).contains(&turn)), "{served:?}");
    }

    #[test]
    fn a_waiter_that_goes_away_costs_no_place() {
        let places = Places::new(2);
        let (first, second) = (taken(&places), taken(&places));
        let gone = Waiter::of(&places, 3);
        let mut late = Waiter::of(&places, 3);
        let mut stays = Waiter::of(&places, 0);
        drop(gone);
        drop(first);
        // It was given a place and went away without it.
        assert_eq!(places.waiting(), 1);
        let place = late.place();
        assert!(place.is_some());
        drop(late);
        drop(place);
        assert!(stays.place().is_some());
        drop(second);
        assert!(places.take(priority(0)).now_or_never().is_some());
    }

    #[test]
    fn a_place_that_was_sent_to_somebody_who_went_away_goes_on_to_the_next() {
        let places = Places::new(1);
        let held = taken(&places);
        let unseen = Waiter::of(&places, 3);
        let mut next = Waiter::of(&places, 0);
        drop(held);
        assert!(next.place().is_none());
        drop(unseen);
        assert!(next.place().is_some());
    }

    #[test]
    fn the_end_is_told_to_all() {
        let places = Places::new(1);
        let held = taken(&places);
        let waiter = Waiter::of(&places, 0);
        places.close();
        assert_eq!(waiter.0.now_or_never().map(|place| place.err()), Some(Some(Closed)));
        drop(held);
        assert!(places.take(priority(3)).now_or_never().is_some_and(|place| place.is_err()));
    }
}
