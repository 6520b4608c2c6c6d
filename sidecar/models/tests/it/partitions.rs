//! Partitions of the outbox and of the replies.

use tpro_models::partitions::{Action, Partitions, Variant, Work};

use crate::{holds, is_refuted};

const ACCEPTED: &str = "no insert is refused";
const IN_ORDER: &str = "each row is in the partition of its id";
const KEPT: &str = "a message stays until it is settled and old";
const REPLIED: &str = "a reply stays as long as its message";
const RECOVERS: &str = "partitions are ahead and all is settled once nobody reads";

const NOTHING: Work = Work { makes_outbox: false, makes_replies: false, retires: false };
const OUTBOX: Work = Work { makes_outbox: true, ..NOTHING };
const REPLIES: Work = Work { makes_replies: true, ..NOTHING };
const RETIRES: Work = Work { retires: true, ..NOTHING };

/// One maintainer as built, with partitions of two ids; nothing disturbs it.
fn quiet(work: Work, messages: usize) -> Partitions {
    Partitions {
        messages,
        leftover: None,
        widths: vec![2],
        reads: 0,
        jumps: 0,
        sets_back: false,
        parts: 1,
        work,
        variant: Variant::AsBuilt,
    }
}

#[test]
fn ids_that_pass_all_partitions_and_long_reads_refuse_no_message() {
    holds(Partitions { reads: 1, jumps: 1, ..quiet(OUTBOX, 2) });
    holds(Partitions { leftover: Some(7), reads: 1, jumps: 1, ..quiet(OUTBOX, 1) });
}

#[test]
fn ids_that_pass_all_partitions_and_long_reads_refuse_no_reply() {
    holds(Partitions { reads: 1, jumps: 1, ..quiet(REPLIES, 2) });
    holds(Partitions { reads: 1, ..quiet(REPLIES, 3) });
}

#[test]
fn maintainers_with_other_widths_do_each_other_no_harm() {
    holds(Partitions { widths: vec![2, 3], reads: 1, jumps: 1, ..quiet(OUTBOX, 1) });
}

#[test]
fn only_what_is_settled_and_old_is_dropped() {
    holds(Partitions { parts: 2, reads: 1, jumps: 1, ..quiet(RETIRES, 2) });
    holds(Partitions { parts: 2, widths: vec![2, 2], jumps: 1, ..quiet(RETIRES, 2) });
}

#[test]
fn partitions_are_made_and_dropped_beside_each_other() {
    let work = Work { retires: true, ..OUTBOX };
    holds(Partitions { jumps: 1, ..quiet(work, 2) });
}

#[test]
fn a_check_that_proves_the_bound_beforehand_is_refuted_by_a_long_read() {
    let variant = Variant::CheckBeforehand;
    let model = Partitions { reads: 1, jumps: 1, variant, ..quiet(REPLIES, 2) };
    let steps = is_refuted(model.clone(), ACCEPTED);
    assert!(steps.iter().any(|step| matches!(step, Action::AddCheck(_))), "{steps:?}");
    is_refuted(model, RECOVERS);
}

#[test]
fn a_cut_at_the_next_single_partition_is_refuted_by_ids_that_jump() {
    let variant = Variant::NextSinglePartition;
    let steps = is_refuted(Partitions { jumps: 1, variant, ..quiet(REPLIES, 2) }, RECOVERS);
    assert!(steps.contains(&Action::Jump), "{steps:?}");
}

#[test]
fn a_cut_by_the_sequence_alone_is_refuted_by_one_that_is_behind() {
    let variant = Variant::BoundBySequence;
    is_refuted(Partitions { leftover: Some(7), variant, ..quiet(OUTBOX, 0) }, RECOVERS);
}

#[test]
fn a_sequence_that_is_set_back_stops_no_maintenance() {
    holds(Partitions { jumps: 1, sets_back: true, ..quiet(OUTBOX, 2) });
    holds(Partitions { jumps: 1, sets_back: true, ..quiet(REPLIES, 1) });
}

#[test]
fn a_bound_that_may_lie_below_its_partition_is_refuted_by_a_sequence_that_is_set_back() {
    let variant = Variant::BoundByRowsAlone;
    let steps = is_refuted(Partitions { jumps: 1, sets_back: true, variant, ..quiet(OUTBOX, 2) }, RECOVERS);
    assert!(steps.contains(&Action::SetBack), "{steps:?}");
}

#[test]
fn a_cut_without_a_look_for_rows_beyond_it_is_refuted() {
    let variant = Variant::CutWithoutLook;
    is_refuted(Partitions { jumps: 2, variant, ..quiet(OUTBOX, 2) }, IN_ORDER);
}

#[test]
fn partitions_that_are_replaced_without_a_look_are_refuted() {
    let variant = Variant::ReplacedWithoutLook;
    is_refuted(Partitions { variant, ..quiet(OUTBOX, 2) }, KEPT);
}

fn retirement_is_refuted(variant: Variant, property: &'static str) {
    let model = Partitions { widths: vec![3], jumps: 1, variant, ..quiet(RETIRES, 2) };
    is_refuted(model, property);
}

#[test]
fn a_drop_without_a_second_look_under_the_lock_is_refuted() {
    retirement_is_refuted(Variant::DroppedAfterOneLook, KEPT);
}

#[test]
fn a_look_that_locks_no_writers_out_is_refuted() {
    retirement_is_refuted(Variant::LookWithoutLock, KEPT);
}

#[test]
fn a_partition_that_is_taken_off_beside_writers_is_refuted() {
    retirement_is_refuted(Variant::DetachedBesideWriters, ACCEPTED);
}

#[test]
fn replies_that_go_before_their_messages_are_refuted() {
    retirement_is_refuted(Variant::RepliesByAge, REPLIED);
}
