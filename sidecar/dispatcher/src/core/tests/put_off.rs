//! Messages whose handler wants to be asked again later.

use super::*;

/// A moment before another.
const MOMENT: Duration = Duration::from_millis(10);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_message_that_is_put_off_is_sent_again_after_that_time_and_not_before() {
    let mut leader = Leader::fresh();
    leader.reads(vec![row(1, 60)]);
    let first = leader.sent[0];
    leader.puts_off(first, 20);
    leader.puts_off(first, 20);
    leader.pass(seconds(20) - MOMENT);
    assert_eq!(leader.sent.len(), 1, "not earlier than asked");
    leader.pass(2 * MOMENT);
    assert_eq!(leader.sent.len(), 2);
    leader.answers(leader.sent[1]);
    assert_eq!(leader.settles(), [(1, Status::Ok)]);
    assert_eq!(leader.core.lanes.flying(), 0);
}

#[test]
fn the_last_wish_is_the_end_where_the_budget_does_not_suffice() {
    let mut leader = Leader::fresh();
    leader.reads(vec![row(1, 30)]);
    leader.puts_off(leader.sent[0], 20);
    leader.pass(seconds(20) + MOMENT);
    leader.puts_off(leader.sent[1], 20);
    assert_eq!(leader.settles(), [(1, Status::Error)], "at once");
    assert_eq!(leader.core.lanes.flying(), 0);
}

#[test]
fn a_wish_counts_no_more_while_another_attempt_is_out_but_for_the_time_of_the_next() {
    let mut leader = Leader::fresh();
    leader.reads(vec![row(1, 60)]);
    leader.pass(ATTEMPT_TIMEOUT + MOMENT);
    assert_eq!(leader.sent.len(), 2, "the first is overdue");
    leader.puts_off(leader.sent[0], 20);
    leader.pass(seconds(19));
    assert_eq!((leader.sent.len(), leader.unsettled()), (2, 1));
    leader.pass(seconds(1) + MOMENT);
    assert_eq!(leader.sent.len(), 3, "the second is overdue since long");
    leader.puts_off(leader.sent[1], 600);
    assert_eq!(leader.unsettled(), 1);
    leader.answers(leader.sent[2]);
    assert_eq!(leader.settles(), [(1, Status::Ok)]);
}

#[test]
fn what_nobody_takes_after_it_was_put_off_ends_with_the_last_wish() {
    let mut leader = Leader::fresh();
    leader.reads(vec![row(1, 3)]);
    leader.puts_off(leader.sent[0], 1);
    let end = leader.now + seconds(3);
    let mut refused = 1;
    while leader.now < end {
        let attempts: Vec<_> = leader.sent[refused..].to_vec();
        refused += attempts.len();
        attempts.into_iter().for_each(|attempt| leader.finds_nobody(attempt));
        leader.pass(Duration::from_millis(20));
    }
    assert!(refused > 3, "{refused} attempts");
    assert_eq!(leader.settles(), [(1, Status::Error)]);
}

#[test]
fn what_goes_unanswered_after_it_was_put_off_ends_as_a_timeout() {
    let mut leader = Leader::fresh();
    leader.reads(vec![row(1, 3)]);
    leader.puts_off(leader.sent[0], 1);
    leader.pass(seconds(3));
    assert_eq!(leader.sent.len(), 2);
    assert_eq!(leader.settles(), [(1, Status::Timeout)], "it may have run");
}

#[test]
fn a_refused_message_can_be_put_off_by_its_attempt_before() {
    let mut leader = Leader::fresh();
    leader.reads(vec![row(1, 60)]);
    leader.pass(ATTEMPT_TIMEOUT + MOMENT);
    leader.finds_nobody(leader.sent[1]);
    leader.puts_off(leader.sent[0], 20);
    leader.pass(seconds(19));
    assert_eq!(leader.sent.len(), 2, "the pause of the refused is no pause for it");
    leader.pass(seconds(1) + MOMENT);
    leader.answers(leader.sent[2]);
    assert_eq!(leader.settles(), [(1, Status::Ok)]);
    assert_eq!(leader.core.lanes.flying(), 0);
}

#[test]
fn a_copy_that_is_back_is_not_sent_what_is_put_off() {
    let mut leader = Leader::fresh();
    leader.reads(vec![row(1, 60)]);
    leader.puts_off(leader.sent[0], 20);
    leader.tell(Input::Back("tpro.co"));
    assert_eq!(leader.sent.len(), 1);
    leader.pass(seconds(20) + MOMENT);
    assert_eq!(leader.sent.len(), 2);
}

#[test]
fn nobody_puts_an_event_off() {
    let mut leader = Leader::fresh();
    leader.reads(vec![row(1, 0)]);
    leader.puts_off(leader.sent[0], 1);
    leader.pass(seconds(2));
    assert_eq!(leader.sent.len(), 1);
}
