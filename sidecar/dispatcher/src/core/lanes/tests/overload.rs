//! Lanes and a target that can do less than what comes, one millisecond after the other.

use std::{collections::HashMap, time::Duration};

use super::*;

/// A service of so many copies that each work on so many messages at once and refuse what is more.
struct Target {
    copies: Vec<Vec<(Job, u64)>>,
    /// So many of them are at work on something else and take nothing.
    hung: usize,
    at_once: usize,
    /// A copy takes `at_once`, and works on no more than so many of them at the same time.
    workers: usize,
    each_ms: u64,
    /// The place of the random choice among copies.
    random: u32,
}

/// A message of one of the requesters.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Job {
    requester: usize,
    key: Key,
}

impl Target {
    fn new(copies: usize, at_once: usize, each_ms: u64) -> Self {
        Self { copies: vec![Vec::new(); copies], hung: 0, at_once, workers: at_once, each_ms, random: 1 }
    }

    /// The work that is done by now.
    fn done(&mut self, ms: u64) -> Vec<(Job, usize)> {
        let copies = self.copies.iter_mut().enumerate();
        copies
            .flat_map(|(n, copy)| copy.extract_if(.., |(_, until)| *until <= ms).map(move |it| (it.0, n)))
            .collect()
    }

    /// The copy that NATS chooses, and true if that takes it.
    fn takes(&mut self, job: Job, ms: u64) -> (usize, bool) {
        let chosen = self.random(self.copies.len() as u64) as usize;
        // From half to one and a half times as long.
        let takes_ms = self.each_ms / 2 + self.random(self.each_ms + 1);
        let copy = &mut self.copies[chosen];
        let takes = copy.len() < self.at_once && chosen >= self.hung;
        if takes {
            // It begins when as many before it are done as leave a worker free.
            let mut ends: Vec<u64> = copy.iter().map(|(_, until)| *until).collect();
            ends.sort_unstable();
            let begins = ends.len().checked_sub(self.workers).map_or(ms, |at| ends[at].max(ms));
            copy.push((job, begins + takes_ms));
        }
        (chosen, takes)
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        u64::from(self.random >> 16) % below
    }
}

/// The name of a copy.
fn who(copy: usize) -> CopyId {
    CopyId::of(Some(&format!("co/1.0/{copy}")))
}

/// A dispatcher with rows for the target.
struct Requester {
    lanes: Lanes,
    lane: LaneId,
    sent: Vec<Key>,
    first_sent: HashMap<u32, u64>,
    rows: i64,
    answered: i64,
    /// Refused attempts.
    refusals: usize,
    /// The longest between the first send of a message and its answer: what its budget must be.
    longest: u64,
}

impl Requester {
    fn new(rows: i64) -> Self {
        Self::with(BOUNDS, rows)
    }

    fn with(bounds: Bounds, rows: i64) -> Self {
        let mut lanes = Lanes::new(bounds, false, Random::new(1));
        let lane = lanes.of("tpro.co", Priority::default());
        for id in 1..=rows {
            lanes.wait(lane, Waiting::new(id, false));
        }
        Self {
            lanes,
            lane,
            sent: Vec::new(),
            first_sent: HashMap::new(),
            rows,
            answered: 0,
            refusals: 0,
            longest: 0,
        }
    }

    fn on_answer(&mut self, key: Key, copy: usize, ms: u64, now: Instant) {
        self.lanes.alive(self.lane, who(copy), now);
        self.lanes.land(self.lane, 10, Place::Flying, 0);
        self.lanes.settled(1, 0);
        self.longest = self.longest.max(ms - self.first_sent[&key.slot]);
        self.answered += 1;
    }

    fn on_refusal(&mut self, key: Key, copy: usize, now: Instant) {
        self.lanes.refuse(self.lane, key, OVERLOADED, who(copy), now);
        self.refusals += 1;
    }

    fn send(&mut self, ms: u64, now: Instant) {
        self.lanes.recover(now);
        while let Some(key) = self.lanes.next_refused(now, |_| Some(OVERLOADED)) {
            self.sent.push(key);
        }
        for (lane, row) in self.lanes.take_fetch(now) {
            assert!(arrives(&mut self.lanes, lane, 10));
            let key = key(row.id() as u32);
            self.first_sent.insert(key.slot, ms);
            self.sent.push(key);
        }
    }
}

/// Lets all send until the first has all its answers; returns after how many milliseconds that is.
fn flood(requesters: &mut [Requester], mut target: Target) -> u64 {
    let begun = Instant::now();
    for ms in 1..1_000_000 {
        let now = begun + Duration::from_millis(ms);
        for (Job { requester, key }, copy) in target.done(ms) {
            requesters[requester].on_answer(key, copy, ms, now);
        }
        // The one that comes first changes.
        let order: &mut dyn Iterator<Item = (usize, &mut Requester)> = match ms % 2 {
            0 => &mut requesters.iter_mut().enumerate(),
            _ => &mut requesters.iter_mut().enumerate().rev(),
        };
        for (n, requester) in order {
            for key in std::mem::take(&mut requester.sent) {
                if let (copy, false) = target.takes(Job { requester: n, key }, ms) {
                    requester.on_refusal(key, copy, now);
                }
            }
            requester.send(ms, now);
        }
        if requesters[0].answered == requesters[0].rows {
            return ms;
        }
    }
    panic!("it stands still")
}

const ROWS: i64 = 2_000;

#[test]
fn no_more_is_sent_than_the_target_can_do_and_it_is_never_short_of_work() {
    for (copies, at_once) in [(1, 1), (1, 8), (1, 60), (2, 1), (2, 4), (2, 30), (8, 2)] {
        for each_ms in [5, 20, 100] {
            let (places, rows) = (copies * at_once, ROWS as u64);
            let mut one = [Requester::new(ROWS)];
            let took_ms = flood(&mut one, Target::new(copies, at_once, each_ms));
            let [one] = one;
            let what = format!("{copies} times {at_once} at once, {each_ms} ms each");
            let least_ms = rows * each_ms / places as u64;
            // A message is a millisecond on its way each time.
            let most_ms = (least_ms + 2 * rows / places as u64) * 13 / 10 + each_ms;
            assert!(took_ms <= most_ms, "{what}: {took_ms} ms, {least_ms} if no place were ever empty");
            // A copy that shares the work refuses what another would take; of one alone only what
            // is more than it can do comes back.
            let most = match (copies, at_once) {
                (1, 1) => 2.0,
                (1, _) => 1.0,
                _ => 3.5,
            };
            let refusals = one.refusals as f64 / rows as f64;
            assert!(refusals <= most, "{what}: {refusals} refusals a message");
            // The first window is sent without knowing what the target can do: those have their
            // turns one after the other.
            let turns = BOUNDS.lane as u64 / places as u64 + 3;
            assert!(
                one.longest <= 2 * turns * (each_ms + 5),
                "{what}: the longest budget needed is {} ms",
                one.longest
            );
        }
    }
}

/// Handlers that wait for one of ten connections: a copy takes far more than it works on.
#[test]
fn a_copy_that_takes_more_than_it_works_on_is_sent_hardly_anything_twice() {
    let mut one = [Requester::with(Bounds { lane: 1024, total: 4096, ..BOUNDS }, 1_500)];
    flood(&mut one, Target { workers: 10, ..Target::new(1, 256, 200) });
    let [one] = one;
    let refusals = one.refusals as f64 / 1_500.0;
    assert!(refusals <= 0.3, "{refusals} refusals a message");
}

#[test]
fn a_copy_that_refuses_everything_does_not_keep_the_others_from_their_work() {
    for (copies, hung, at_once, each_ms) in
        [(2, 1, 60, 20), (3, 1, 30, 20), (3, 2, 60, 20), (2, 1, 8, 100), (3, 2, 8, 5), (2, 1, 60, 3_000)]
    {
        let mut one = [Requester::new(5 * ROWS)];
        let took_ms = flood(&mut one, Target { hung, ..Target::new(copies, at_once, each_ms) });
        let places = ((copies - hung) * at_once) as u64;
        let least_ms = 5 * ROWS as u64 * each_ms / places;
        let what = format!("{hung} of {copies} hang, {at_once} at once, {each_ms} ms each");
        assert!(took_ms <= least_ms * 3 / 2, "{what}: {took_ms} ms, {least_ms} if no place were ever empty");
    }
}

#[test]
fn of_two_that_flood_a_target_neither_is_shut_out() {
    for (copies, at_once, each_ms) in [(1, 1, 20), (1, 8, 100), (2, 4, 20), (1, 60, 5)] {
        let mut two = [Requester::new(ROWS), Requester::new(100 * ROWS)];
        flood(&mut two, Target::new(copies, at_once, each_ms));
        let [one, other] = two.map(|requester| requester.answered);
        let all = one + other;
        let what =
            format!("{copies} times {at_once} at once, {each_ms} ms each: {one} and {other} were answered");
        assert!(one * 20 >= all && other * 20 >= all, "{what}");
    }
}
