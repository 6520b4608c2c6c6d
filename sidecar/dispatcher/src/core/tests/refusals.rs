//! Messages that nobody takes.

use super::*;

#[test]
fn a_refused_message_is_tried_again_after_a_pause_until_somebody_answers() {
    let mut leader = Leader::fresh();
    leader.reads(vec![row(1, 15)]);
    let first = leader.sent[0];
    leader.finds_nobody(first);
    assert_eq!(leader.sent.len(), 1, "not at once");
    leader.pass(Duration::from_millis(60));
    assert_eq!(leader.sent.len(), 2);
    let second = leader.sent[1];
    assert_eq!((second.number, second.told), (2, 2));
    leader.finds_nobody(first);
    leader.answers(second);
    assert_eq!(leader.settles(), [(1, Status::Ok)]);
}

#[test]
fn a_message_that_nobody_has_taken_all_the_time_is_unavailable() {
    let mut leader = Leader::fresh();
    leader.reads(vec![row(1, 1)]);
    let end = leader.now + Duration::from_secs(1);
    let mut refused = 0;
    while leader.now < end {
        let attempts: Vec<_> = leader.sent[refused..].to_vec();
        refused += attempts.len();
        attempts.into_iter().for_each(|attempt| leader.finds_nobody(attempt));
        leader.pass(Duration::from_millis(20));
    }
    assert!(refused > 3, "{refused} attempts");
    assert_eq!(leader.settles(), [(1, Status::Unavailable)]);
}

#[test]
fn a_copy_that_is_back_has_refused_messages_sent_at_once() {
    let mut leader = Leader::fresh();
    leader.reads(vec![row(1, 15)]);
    let first = leader.sent[0];
    leader.finds_nobody(first);
    leader.tell(Input::Back("tpro.co"));
    assert_eq!(leader.sent.len(), 2);
}

#[test]
fn a_subject_that_the_server_forbids_is_refused() {
    let mut leader = Leader::fresh();
    leader.reads(vec![row(1, 15), row(2, 0)]);
    leader.tell(Input::Forbidden("tpro.co.example.x"));
    assert_eq!(leader.settles(), [(2, Status::Unavailable)], "an event has no budget to be tried again in");
    assert_eq!(leader.core.messages.len(), 1);
}
