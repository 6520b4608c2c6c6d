use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::core::{
    lane::{FIRST_REST, LONGEST_REST, OWN_SHARE, REFUSED_PER_LANE},
    lanes::slots::LANES_MAX,
};

mod hold;
mod overload;
mod priorities;

/// The word of a copy with too much to do.
const OVERLOADED: Refusal = Refusal::Overloaded { repeat: false };

const BOUNDS: Bounds = Bounds { lane: 100, total: 400, bytes: 1 << 20, page: 50 };

fn key(n: u32) -> Key {
    Key { slot: n, turn: 0 }
}

fn fill(lanes: &mut Lanes, name: &str) -> usize {
    let id = lanes.of(name, Priority::default());
    (0..10_000).take_while(|_| lanes.admit(id, 10)).count()
}

/// A row that was fetched has come: does it fly?
fn arrives(lanes: &mut Lanes, id: LaneId, bytes: usize) -> bool {
    lanes.fetched(id);
    lanes.admit_fetched(id, bytes)
}

/// A window as large as it gets.
fn open(lanes: &mut Lanes, name: &str) -> LaneId {
    let id = lanes.of(name, Priority::default());
    widen(lanes, id, lanes.load.bounds().lane);
    id
}

fn widen(lanes: &mut Lanes, id: LaneId, window: usize) {
    lanes.slots.get_mut(id).expect("is there").resize(window);
}

#[test]
fn a_message_that_is_put_off_leaves_its_place_to_another() {
    let mut lanes = Lanes::new(BOUNDS, false, Random::new(1));
    let co = lanes.of("tpro.co", Priority::default());
    let most = fill(&mut lanes, "tpro.co");
    assert!(!lanes.admit(co, 10));
    lanes.put_off(co, Place::Flying);
    assert!(lanes.admit(co, 10) && !lanes.admit(co, 10));
    lanes.come_back(co);
    assert_eq!(lanes.flying(), most + 1);
    lanes.put_off(co, Place::Flying);
    lanes.land(co, 10, Place::PutOff, 0);
    (0..most).for_each(|_| lanes.land(co, 10, Place::Flying, 0));
    assert_eq!(lanes.flying(), 0);
    lanes.settled(most + 1, 0);
    assert_eq!(lanes.load.sums(), [0; 4]);
}

#[test]
fn a_lane_holds_its_window_and_no_more() {
    let mut lanes = Lanes::new(BOUNDS, false, Random::new(1));
    assert_eq!(fill(&mut lanes, "tpro.co"), BOUNDS.lane.min(FIRST_WINDOW));
}

#[test]
fn many_full_lanes_leave_room_for_the_next() {
    let mut lanes = Lanes::new(BOUNDS, false, Random::new(1));
    for n in 0..200 {
        fill(&mut lanes, &format!("tpro.dead_{n}"));
    }
    assert!(fill(&mut lanes, "tpro.analytic") >= OWN_SHARE);
}

#[test]
fn while_outcomes_cannot_be_written_nothing_more_is_sent() {
    let mut lanes = Lanes::new(BOUNDS, false, Random::new(1));
    let mut unwritten = 0;
    for n in 0.. {
        let id = lanes.of(&format!("tpro.s{n}"), Priority::default());
        if !lanes.admit(id, 10) {
            break;
        }
        lanes.land(id, 10, Place::Flying, 100);
        unwritten += 1;
    }
    assert!(unwritten <= BOUNDS.total, "{unwritten}");
    assert!(lanes.is_choked());
    lanes.settled(unwritten, unwritten * 100);
    let id = lanes.of("tpro.co", Priority::default());
    assert!(lanes.admit(id, 10));
}

#[test]
fn large_bodies_of_one_lane_leave_bytes_for_the_others() {
    let mut lanes = Lanes::new(BOUNDS, false, Random::new(1));
    let (co, analytic) =
        (lanes.of("tpro.co", Priority::default()), lanes.of("tpro.analytic", Priority::default()));
    while lanes.admit(co, 100_000) {}
    assert!(lanes.admit(analytic, 10_000));
}

#[test]
fn a_body_larger_than_all_room_flies_alone() {
    let mut lanes = Lanes::new(BOUNDS, false, Random::new(1));
    let co = lanes.of("tpro.co", Priority::default());
    assert!(lanes.admit(co, 2 << 20));
    assert!(!lanes.admit(co, 1));
    lanes.land(co, 2 << 20, Place::Flying, 10);
    assert!(!lanes.admit(co, 2 << 20), "an outcome is to be written first");
    lanes.settled(1, 10);
    assert!(lanes.admit(co, 2 << 20));
}

#[test]
fn rows_wait_in_order_and_are_fetched_when_half_the_window_is_free() {
    let mut lanes = Lanes::new(BOUNDS, false, Random::new(1));
    let co = open(&mut lanes, "tpro.co");
    let flying = fill(&mut lanes, "tpro.co");
    for id in 1..=60 {
        lanes.wait(co, Waiting::new(id, id == 1));
    }
    assert!(lanes.take_fetch(Instant::now()).is_empty());
    for _ in 0..flying / 2 {
        lanes.land(co, 10, Place::Flying, 0);
    }
    lanes.settled(flying / 2, 0);
    let rows = lanes.take_fetch(Instant::now());
    assert_eq!(rows.len(), 50);
    assert!(rows[0].1.may_have_run() && !rows[1].1.may_have_run());
    assert!(rows.iter().map(|(_, row)| row.id()).eq(1..=50));
    assert!(!lanes.admit(co, 10), "what waits goes first");
    assert!(arrives(&mut lanes, co, 10));
}

#[test]
fn a_lane_that_refuses_is_tried_by_one_message_after_growing_pauses() {
    let mut lanes = Lanes::new(BOUNDS, false, Random::new(1));
    let co = lanes.of("tpro.co", Priority::default());
    let mut now = Instant::now();
    for n in 0..10 {
        assert!(lanes.admit(co, 10));
        lanes.refuse(co, key(n), Refusal::NoResponders, CopyId::default(), now);
    }
    assert_eq!(lanes.next_refused(now, |_| Some(Refusal::NoResponders)), None);
    let mut pauses = Vec::new();
    for n in 0..8 {
        let rested = lanes.rested_at(now).expect("it rests");
        pauses.push(rested - now);
        now = rested;
        let tried = lanes.next_refused(now, |_| Some(Refusal::NoResponders)).expect("one is tried");
        assert_eq!(tried, key(n));
        assert_eq!(lanes.next_refused(now, |_| Some(Refusal::NoResponders)), None, "one at a time");
        lanes.refuse(co, tried, Refusal::NoResponders, CopyId::default(), now);
    }
    assert!(pauses[0] <= FIRST_REST && pauses[7] >= LONGEST_REST / 2 && pauses[7] <= LONGEST_REST);
    lanes.alive(co, CopyId::default(), Instant::now());
    let mut tried = 0;
    while lanes.next_refused(now, |_| Some(Refusal::NoResponders)).is_some() {
        tried += 1;
    }
    assert_eq!(tried, 10, "when somebody answers, all are tried at once");
}

#[test]
fn what_was_settled_meanwhile_is_not_tried_and_does_not_pile_up() {
    let mut lanes = Lanes::new(BOUNDS, false, Random::new(1));
    let co = lanes.of("tpro.co", Priority::default());
    let now = Instant::now();
    for n in 0..5_000 {
        assert!(lanes.admit(co, 10));
        lanes.refuse(co, key(n), Refusal::NoResponders, CopyId::default(), now);
        lanes.land(co, 10, Place::Refused(Refusal::NoResponders), 0);
        lanes.settled(1, 0);
        lanes.next_refused(now, |_| None);
    }
    assert!(lanes.slots.get(co).expect("is kept").refused_kept() < 100);
}

#[test]
fn reply_handlers_that_hang_close_their_own_lane_and_no_other() {
    let mut lanes = Lanes::new(BOUNDS, false, Random::new(1));
    let co = open(&mut lanes, "tpro.co");
    for _ in 0..10 * BOUNDS.total {
        if !lanes.admit(co, 10) {
            break;
        }
        lanes.land(co, 10, Place::Flying, 1);
        lanes.begin_handling(co);
    }
    assert!(!lanes.admit(co, 10), "it holds as much as it may of what waits for handlers");
    assert!(!lanes.is_choked());
    assert!(fill(&mut lanes, "tpro.analytic") >= OWN_SHARE);
    for _ in 0..BOUNDS.lane / 2 {
        lanes.handled(co);
        lanes.settled(1, 1);
    }
    assert!(lanes.admit(co, 10));
}

#[test]
fn reply_handlers_that_hang_in_many_lanes_leave_room_for_the_next() {
    let mut lanes = Lanes::new(BOUNDS, false, Random::new(1));
    for n in 0..20 {
        let id = lanes.of(&format!("tpro.s{n}"), Priority::default());
        while lanes.admit(id, 10) {
            lanes.land(id, 10, Place::Flying, 1);
            lanes.begin_handling(id);
        }
    }
    let [_, handling, ..] = lanes.load.sums();
    assert!(handling <= BOUNDS.total + 20 * OWN_SHARE, "{handling}");
    assert!(fill(&mut lanes, "tpro.analytic") >= OWN_SHARE);
}

#[test]
fn a_repeat_that_is_refused_says_nothing_about_what_the_target_can_do() {
    let mut lanes = Lanes::new(BOUNDS, false, Random::new(1));
    let co = open(&mut lanes, "tpro.co");
    assert_eq!(fill(&mut lanes, "tpro.co"), BOUNDS.lane);
    for n in 0..60 {
        lanes.refuse(co, key(n), Refusal::Overloaded { repeat: true }, CopyId::default(), Instant::now());
    }
    assert_eq!(lanes.slots.get(co).expect("is kept").window(), BOUNDS.lane);
    assert!(lanes.admit(co, 10), "it holds up no other");
}

#[test]
fn overload_shrinks_the_window_to_what_the_target_has_taken() {
    let mut lanes = Lanes::new(BOUNDS, false, Random::new(1));
    let co = open(&mut lanes, "tpro.co");
    assert_eq!(fill(&mut lanes, "tpro.co"), BOUNDS.lane);
    let now = Instant::now();
    for n in 0..60 {
        lanes.refuse(co, key(n), OVERLOADED, CopyId::default(), now);
    }
    assert_eq!(
        lanes.slots.get(co).expect("is kept").window(),
        39,
        "the first takes two, the others one each"
    );
    assert!(!lanes.admit(co, 10));
    // All that it works on is answered: the refused go first, and nothing new takes their places.
    for _ in 0..40 {
        lanes.alive(co, CopyId::default(), Instant::now());
        lanes.land(co, 10, Place::Flying, 0);
    }
    let window = lanes.slots.get(co).expect("is kept").window();
    assert!(window > 60 && lanes.admit(co, 10), "there is room beside the 60: {window}");
    while lanes.admit(co, 10) {}
    let again = std::iter::from_fn(|| lanes.next_refused(now, |_| Some(OVERLOADED)));
    assert_eq!(again.count(), 60);
}

#[test]
fn a_window_that_is_full_of_slow_messages_grows_with_time_and_lets_others_through() {
    let mut lanes = Lanes::new(BOUNDS, false, Random::new(1));
    let co = lanes.of("tpro.co", Priority::default());
    let mut now = Instant::now();
    fill(&mut lanes, "tpro.co");
    for n in 0..90 {
        lanes.refuse(co, key(n), OVERLOADED, CopyId::default(), now);
    }
    // The refused messages have their answers; the ten others take long, and fill the window.
    for _ in 0..90 {
        lanes.land(co, 10, Place::Refused(OVERLOADED), 0);
    }
    lanes.settled(90, 0);
    assert!(!lanes.admit(co, 10));
    for id in 1..=5 {
        lanes.wait(co, Waiting::new(id, false));
    }
    for _ in 0..20 {
        let Some(at) = lanes.rested_at(now) else { break };
        now = at;
        lanes.recover(now);
        for (lane, _) in lanes.take_fetch(now) {
            assert!(arrives(&mut lanes, lane, 10));
        }
    }
    assert_eq!(lanes.waiting(), 0);
    assert_eq!(lanes.rested_at(now), None, "there is nothing to wake up for");
}

#[test]
fn what_is_at_reply_handlers_does_not_keep_the_lane_from_sending() {
    let mut lanes = Lanes::new(BOUNDS, false, Random::new(1));
    let co = open(&mut lanes, "tpro.co");
    fill(&mut lanes, "tpro.co");
    for n in 0..95 {
        lanes.refuse(co, key(n), OVERLOADED, CopyId::default(), Instant::now());
    }
    for _ in 0..5 {
        lanes.land(co, 10, Place::Flying, 0);
        lanes.begin_handling(co);
    }
    // As much as its window has room for is at reply handlers now.
    widen(&mut lanes, co, 5);
    let again = std::iter::from_fn(|| lanes.next_refused(Instant::now() + FIRST_REST, |_| Some(OVERLOADED)));
    assert!(again.count() > 0);
}

#[test]
fn a_lane_whose_window_is_larger_than_all_there_is_gets_its_rows() {
    let mut lanes = Lanes::new(
        Bounds { lane: 10 * BOUNDS.total, page: 2 * BOUNDS.total, ..BOUNDS },
        false,
        Random::new(1),
    );
    let co = open(&mut lanes, "tpro.co");
    for id in 1..=2 * BOUNDS.total as i64 {
        lanes.wait(co, Waiting::new(id, false));
    }
    assert_eq!(drain(&mut lanes, &[], 10), 0);
}

/// Answers all that flies after each fetch, but for the lanes that nobody answers; returns how many
/// rows of the others are left.
fn drain(lanes: &mut Lanes, dead: &[LaneId], bytes: usize) -> usize {
    for _ in 0..1_000 {
        let mut flying = Vec::new();
        for (lane, row) in lanes.take_fetch(Instant::now()) {
            if arrives(lanes, lane, bytes) {
                flying.push(lane);
            } else {
                lanes.wait_first(lane, row, bytes);
            }
        }
        for lane in flying.into_iter().filter(|lane| !dead.contains(lane)) {
            lanes.land(lane, bytes, Place::Flying, 0);
            lanes.settled(1, 0);
        }
    }
    let left = lanes.slots.in_turn().filter(|(slot, _)| dead.iter().all(|id| id.slot != *slot));
    left.map(|(_, lane)| lane.waiting()).sum()
}

proptest! {
    /// Small rows get through, no matter what others hold that are never answered.
    #[test]
    fn small_rows_leave_whatever_others_hold(
        total in 100usize..2_000, megabytes in 1usize..5, window in 16usize..3_000, answered in 0usize..3_000,
        dead in 0usize..30, large in 1usize..900_000, rows in 1i64..600,
    ) {
        let mut lanes = Lanes::new(Bounds { lane: window, total, bytes: megabytes << 20, page: 500 }, false, Random::new(1));
        let co = lanes.of("tpro.co", Priority::default());
        // Its last bodies were large, and its window has grown.
        if lanes.admit(co, large) {
            lanes.land(co, large, Place::Flying, 0);
            lanes.settled(1, 0);
        }
        widen(&mut lanes, co, (FIRST_WINDOW + answered).min(window));
        let dead: Vec<LaneId> = (0..dead).map(|n| lanes.of(&format!("tpro.dead_{n}"), Priority::default())).collect();
        for id in &dead {
            while lanes.admit(*id, large) {}
            lanes.wait(*id, Waiting::new(1, false));
        }
        for id in 1..=rows {
            lanes.wait(co, Waiting::new(id, false));
        }
        prop_assert_eq!(drain(&mut lanes, &dead, 100), 0);
    }
}

#[test]
fn any_number_of_names_is_a_bounded_number_of_lanes() {
    let mut lanes = Lanes::new(Bounds { total: 100_000, ..BOUNDS }, false, Random::new(1));
    for n in 0..2 * LANES_MAX {
        let id = lanes.of(&format!("tpro.name_{n}"), Priority::default());
        lanes.wait(id, Waiting::new(1, false));
    }
    assert_eq!(lanes.slots.iter().count(), LANES_MAX + 1);
}

proptest! {
    /// The sums are, no matter what happens to messages, those of the lanes, and at the end
    /// everything is free again.
    #[test]
    fn nothing_is_counted_twice_or_forgotten(steps in proptest::collection::vec((0u8..8, 0u8..4, 1usize..5_000), 0..400)) {
        let mut lanes = Lanes::new(BOUNDS, false, Random::new(1));
        let mut flying: Vec<(LaneId, Key, usize)> = Vec::new();
        let mut refused: Vec<(LaneId, Key, usize)> = Vec::new();
        let refusal = |(_, _, bytes): &(LaneId, Key, usize)| match bytes % 3 {
            0 => OVERLOADED,
            1 => Refusal::Overloaded { repeat: true },
            _ => Refusal::NoResponders,
        };
        let mut written = Vec::new();
        let mut handling: Vec<LaneId> = Vec::new();
        let mut now = Instant::now();
        for (n, (what, lane, bytes)) in steps.into_iter().enumerate() {
            let id = lanes.of(&format!("tpro.s{lane}"), Priority::default());
            now += Duration::from_millis(7);
            match what {
                0 | 1 => if lanes.admit(id, bytes) { flying.push((id, key(n as u32), bytes)) },
                2 => if let Some((id, key, bytes)) = flying.pop() {
                    lanes.refuse(id, key, refusal(&(id, key, bytes)), CopyId::default(), now);
                    refused.push((id, key, bytes));
                },
                3 => while let Some(tried) = lanes.next_refused(now, |key| refused.iter().find(|r| r.1 == key).map(refusal)) {
                    let at = refused.iter().position(|r| r.1 == tried).expect("is one of the refused");
                    flying.push(refused.remove(at));
                },
                4 => if let Some((id, _, bytes)) = flying.pop() {
                    lanes.alive(id, CopyId::default(), Instant::now());
                    lanes.land(id, bytes, Place::Flying, 3);
                    written.push(3);
                },
                5 => if let Some(it) = refused.pop() {
                    lanes.land(it.0, it.2, Place::Refused(refusal(&it)), 5);
                    written.push(5);
                },
                6 => if let Some((id, _, bytes)) = flying.pop() {
                    lanes.land(id, bytes, Place::Flying, 7);
                    lanes.begin_handling(id);
                    handling.push(id);
                },
                _ => if let Some(id) = handling.pop() {
                    lanes.handled(id);
                    written.push(7);
                },
            }
            let [all_flying, all_handling, settling, _] = lanes.load.sums();
            prop_assert_eq!(all_flying, flying.len());
            prop_assert_eq!(all_flying, lanes.slots.iter().map(Lane::flying).sum::<usize>());
            prop_assert_eq!(all_handling, handling.len());
            prop_assert!(all_flying + all_handling + settling <= BOUNDS.total + 4 * OWN_SHARE);
        }
        for id in handling.drain(..) {
            lanes.handled(id);
            written.push(7);
        }
        for (id, _, bytes) in flying.drain(..) {
            lanes.land(id, bytes, Place::Flying, 0);
            written.push(0);
        }
        for it in refused.drain(..) {
            lanes.land(it.0, it.2, Place::Refused(refusal(&it)), 0);
            written.push(0);
        }
        lanes.settled(written.len(), written.iter().sum());
        prop_assert_eq!(lanes.load.sums(), [0; 4]);
        prop_assert!(lanes.slots.iter().all(Lane::is_idle));
    }
}

#[test]
fn a_lane_with_as_many_refused_as_it_may_keep_still_tries_one_of_them() {
    let (mut lanes, now) = (Lanes::new(BOUNDS, false, Random::new(1)), Instant::now());
    let id = lanes.of("tpro.co", Priority::default());
    for n in 0..REFUSED_PER_LANE as u32 {
        assert!(lanes.admit(id, 10));
        lanes.refuse(id, key(n), Refusal::NoResponders, CopyId::default(), now);
    }
    assert!(!lanes.admit(id, 10), "nothing new is taken up");
    assert_eq!(lanes.next_refused(now + LONGEST_REST, |_| Some(Refusal::NoResponders)), Some(key(0)));
}
