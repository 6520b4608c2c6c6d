use std::collections::VecDeque;

use super::*;

const HIGHEST: Priority = Priority::ALL[0];
const LOWEST: Priority = Priority::ALL[3];
/// Rows that wait for each priority.
const ROWS: i64 = 10_000;

/// Lanes with messages in flight to one service, which answers them in their order.
struct Served {
    lanes: Lanes,
    flying: VecDeque<LaneId>,
    bytes: usize,
    now: Instant,
}

impl Served {
    fn new(bounds: Bounds, bytes: usize) -> Self {
        let lanes = Lanes::new(bounds, false, Random::new(1));
        Self { lanes, flying: VecDeque::new(), bytes, now: Instant::now() }
    }

    /// Rows of this priority wait, and the window is as large as it gets.
    fn waits(&mut self, priority: Priority) -> LaneId {
        let id = self.lanes.of("tpro.co", priority);
        let most = self.lanes.load.bounds().lane;
        widen(&mut self.lanes, id, most);
        (1..=ROWS).for_each(|row| self.lanes.wait(id, Waiting::new(row, false)));
        id
    }

    fn fetches(&mut self) {
        self.now += Duration::from_millis(20);
        let rows = self.lanes.take_fetch(self.now);
        rows.iter().for_each(|(id, _)| self.lanes.fetched(*id));
        for (id, row) in rows {
            match self.lanes.admit_fetched(id, self.bytes) {
                true => self.flying.push_back(id),
                false => self.lanes.wait_first(id, row, self.bytes),
            }
        }
    }

    /// So many answers; how many of them were of each priority, the highest first.
    fn answers(&mut self, count: usize) -> [usize; 4] {
        let mut answered = [0; 4];
        for _ in 0..count {
            self.fetches();
            let id = self.flying.pop_front().expect("something flies");
            self.lanes.land(id, self.bytes, Place::Flying, 0);
            self.lanes.settled(1, 0);
            answered[3 - usize::from(id.priority.number())] += 1;
        }
        answered
    }
}

#[test]
fn a_message_of_high_priority_goes_ahead_of_any_number_that_wait() {
    let mut served = Served::new(BOUNDS, 10);
    let low = served.waits(LOWEST);
    assert_eq!(served.answers(500), [0, 0, 0, 500]);
    assert!(!served.lanes.admit(low, 10), "others of its priority wait before it");
    let high = served.lanes.of("tpro.co", HIGHEST);
    assert!(served.lanes.admit(high, 10), "a place is free, and it is the first");
}

#[test]
fn no_priority_starves_while_higher_ones_wait() {
    for (lane, bytes) in [(1, 10), (2, 10), (3, 10), (4, 10), (8, 10), (100, 10), (100, 100_000)] {
        let mut served = Served::new(Bounds { lane, ..BOUNDS }, bytes);
        for priority in Priority::ALL {
            served.waits(priority);
        }
        let [first, second, third, last] = served.answers(3_000);
        let all = format!("{lane} places, {bytes} bytes: {first} {second} {third} {last}");
        assert!(last >= 3_000 / 30, "half of its fifteenth at least: {all}");
        assert!(first >= second && second >= third && third >= last, "{all}");
    }
}

#[test]
fn beside_a_full_window_goes_an_eighth_of_it_unless_the_target_refuses() {
    let mut served = Served::new(Bounds { lane: 1_000, total: 4_000, ..BOUNDS }, 10);
    served.waits(LOWEST);
    served.fetches();
    let low = served.lanes.of("tpro.co", LOWEST);
    widen(&mut served.lanes, low, served.flying.len());
    let window = served.flying.len();
    let high = served.lanes.of("tpro.co", HIGHEST);
    let beside = (0..1_000).take_while(|_| served.lanes.admit(high, 10)).count();
    assert_eq!(beside, window / 8);
    served.lanes.refuse(high, key(1), OVERLOADED, CopyId::default(), served.now);
    served.lanes.land(high, 10, Place::Flying, 0);
    assert!(!served.lanes.admit(high, 10), "it says itself how much it can do");
}

#[test]
fn the_refused_of_all_priorities_have_their_turns() {
    let (mut lanes, mut now) = (Lanes::new(BOUNDS, false, Random::new(1)), Instant::now());
    let ids = [LOWEST, HIGHEST].map(|priority| lanes.of("tpro.co", priority));
    widen(&mut lanes, ids[0], BOUNDS.lane);
    for n in 0..40 {
        let id = ids[usize::from(n >= 20)];
        assert!(lanes.admit(id, 10));
        lanes.refuse(id, key(n), Refusal::NoResponders, CopyId::default(), now);
    }
    let mut first = Vec::new();
    for _ in 0..9 {
        now += LONGEST_REST;
        first.push(lanes.next_refused(now, |_| Some(Refusal::NoResponders)).expect("it has rested"));
    }
    let low = first.iter().filter(|key| key.slot < 20).count();
    assert_eq!((low, first[0]), (1, key(20)), "eight of nine are of the highest");
}

#[test]
fn a_lane_is_closed_for_a_priority_that_has_no_room_and_open_for_another() {
    let mut served = Served::new(BOUNDS, 10);
    served.waits(LOWEST);
    served.answers(100);
    assert_eq!(served.lanes.closed(), ["tpro.co.0"]);
}

proptest! {
    /// The bound of a lane holds for all priorities together, with those that were refused and keep
    /// their places.
    #[test]
    fn a_lane_has_no_more_in_flight_than_its_bound(steps in proptest::collection::vec((0i32..4, 1usize..200, 0usize..60), 1..20)) {
        let (mut lanes, now) = (Lanes::new(BOUNDS, false, Random::new(1)), Instant::now());
        open(&mut lanes, "tpro.co");
        let mut in_places = 0;
        for (n, (priority, count, refused)) in steps.into_iter().enumerate() {
            let id = lanes.of("tpro.co", Priority::of(priority));
            let admitted = (0..count).take_while(|_| lanes.admit(id, 10)).count();
            prop_assert!(lanes.flying() + in_places <= BOUNDS.lane);
            for at in 0..refused.min(admitted) {
                lanes.refuse(id, key((n * 1_000 + at) as u32), OVERLOADED, CopyId::default(), now);
                in_places += 1;
            }
        }
    }
}
