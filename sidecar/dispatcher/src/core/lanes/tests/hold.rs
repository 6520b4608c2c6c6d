//! When reading pauses for a lane, and for how long.

use std::time::Duration;

use super::*;
use crate::core::lanes::hold::{CATCH_UP, LONGEST_HOLD, PATIENCE};

#[test]
fn reading_is_held_for_a_lane_that_became_tight_but_not_for_long() {
    let mut lanes = Lanes::new(BOUNDS, false, Random::new(1));
    fill(&mut lanes, "tpro.co");
    let now = Instant::now();
    let until = lanes.hold_reading(now).expect("is held");
    assert_eq!(lanes.hold_reading(until), None);
    assert_eq!(lanes.closed(), ["tpro.co.0"]);
}

#[test]
fn reading_is_held_for_a_lane_that_catches_up_and_not_for_one_that_has_fallen_behind() {
    let mut lanes = Lanes::new(BOUNDS, false, Random::new(1));
    let flying = fill(&mut lanes, "tpro.co");
    let co = lanes.of("tpro.co", Priority::default());
    for id in 1..=BOUNDS.page as i64 {
        lanes.wait(co, Waiting::new(id, false));
    }
    let now = Instant::now();
    let until = lanes.hold_reading(now).expect("is held");
    // It opens: what waits is fetched, and it has its time once more.
    for _ in 1..flying {
        lanes.land(co, 10, Place::Flying, 0);
        lanes.settled(1, 0);
    }
    for (lane, _) in lanes.take_fetch(Instant::now()) {
        assert!(arrives(&mut lanes, lane, 10));
    }
    assert!(lanes.hold_reading(until).is_some_and(|again| again > until));
    for id in 0..=(CATCH_UP * BOUNDS.page) as i64 {
        lanes.wait(co, Waiting::new(1_000 + id, false));
    }
    assert_eq!(lanes.hold_reading(until), None);
}

/// Lets a millisecond after the other pass, in which what waits is fetched and nothing is answered;
/// returns for how long reading was held before each page, and how many rows were fetched.
fn pass(lanes: &mut Lanes, bytes: usize, steps: u32) -> (Vec<u32>, usize) {
    let begun = Instant::now();
    let (mut held, mut fetched) = (vec![0], 0);
    for step in 0..steps {
        for (lane, row) in lanes.take_fetch(begun + Duration::from_millis(step.into())) {
            fetched += 1;
            if !arrives(lanes, lane, bytes) {
                lanes.wait_first(lane, row, bytes);
            }
        }
        match lanes.hold_reading(begun + Duration::from_millis(step.into())) {
            Some(_) => held[0] += 1,
            None => held.insert(0, 0),
        }
    }
    (held, fetched)
}

#[test]
fn a_lane_that_is_full_of_bytes_neither_holds_reading_nor_has_its_rows_fetched_in_vain() {
    for bytes in [10_000, BOUNDS.bytes / 3] {
        for refused in [false, true] {
            let mut lanes = Lanes::new(BOUNDS, false, Random::new(1));
            let co = open(&mut lanes, "tpro.co");
            let now = Instant::now();
            let flying = (0..).take_while(|_| lanes.admit(co, bytes)).count();
            for n in 0..flying * usize::from(refused) {
                lanes.refuse(co, key(n as u32), Refusal::NoResponders, CopyId::default(), now);
            }
            for id in 1..=30 {
                lanes.wait(co, Waiting::new(id, false));
            }
            let (held, fetched) = pass(&mut lanes, bytes, 2_000);
            let longest = held.iter().max().copied().unwrap_or_default();
            assert!(u128::from(longest) <= PATIENCE.as_millis(), "{bytes} {refused}: {longest} ms");
            assert!(fetched <= 1, "{bytes} {refused}: {fetched} rows were fetched in vain");
        }
    }
}

#[test]
fn lanes_that_become_tight_one_after_the_other_hold_reading_for_a_while_together() {
    let mut lanes = Lanes::new(BOUNDS, false, Random::new(1));
    let begun = Instant::now();
    let (mut held, mut longest) = (0, 0);
    for step in 0..1_000 {
        let id = lanes.of(&format!("tpro.s{}", step / 2 % 12), Priority::default());
        if step % 2 == 0 {
            // All is answered, and in the next millisecond it is filled again: it has just become
            // tight.
            while lanes.slots.get(id).is_some_and(|lane| lane.flying() > 0) {
                lanes.land(id, 10, Place::Flying, 0);
                lanes.settled(1, 0);
            }
        } else {
            while lanes.admit(id, 10) {}
        }
        let until = lanes.hold_reading(begun + Duration::from_millis(step));
        held = if until.is_some() { held + 1 } else { 0 };
        longest = longest.max(held);
    }
    assert!(longest > PATIENCE.as_millis(), "the test makes several follow each other: {longest}");
    assert!(longest <= LONGEST_HOLD.as_millis(), "{longest}");
}

#[test]
fn a_lane_that_opens_row_by_row_slows_down_no_other() {
    let mut lanes = Lanes::new(BOUNDS, false, Random::new(1));
    let co = open(&mut lanes, "tpro.co");
    let begun = Instant::now();
    while lanes.admit(co, 50_000) {}
    for id in 1..=100 {
        lanes.wait(co, Waiting::new(id, false));
    }
    let mut reads = 0;
    for step in 0..1_000 {
        if step % 5 == 0 {
            lanes.land(co, 50_000, Place::Flying, 0);
            lanes.settled(1, 0);
        }
        for (lane, row) in lanes.take_fetch(begun + Duration::from_millis(step)) {
            if !arrives(&mut lanes, lane, 50_000) {
                lanes.wait_first(lane, row, 50_000);
            }
        }
        reads += u32::from(lanes.hold_reading(begun + Duration::from_millis(step)).is_none());
        if lanes.waiting() < 50 {
            lanes.wait(co, Waiting::new(1_000 + step as i64, false));
        }
    }
    assert!(reads >= 450, "{reads} reads in a second");
}

#[test]
fn a_lane_that_opens_a_place_at_a_time_is_read_for_now_and_then_and_slows_down_no_other() {
    let mut lanes = Lanes::new(BOUNDS, false, Random::new(1));
    let co = open(&mut lanes, "tpro.co");
    let begun = Instant::now();
    while lanes.admit(co, 10) {}
    for id in 1..=190 {
        lanes.wait(co, Waiting::new(id, false));
    }
    let (mut reads, mut fetches) = (0, 0);
    for ms in 0..1_000 {
        let now = begun + Duration::from_millis(ms);
        if ms % 5 == 0 {
            lanes.land(co, 10, Place::Flying, 0);
            lanes.settled(1, 0);
        }
        let rows = lanes.take_fetch(now);
        fetches += u32::from(!rows.is_empty());
        for (lane, _) in rows {
            assert!(arrives(&mut lanes, lane, 10));
        }
        reads += u32::from(lanes.hold_reading(now).is_none());
    }
    assert!((90..=101).contains(&fetches), "{fetches} fetches in a second");
    assert!(reads >= 980, "{reads} reads in a second");
}
