//! Events: settled when the NATS server has them.

use super::*;

fn echo(leader: &Leader) -> String {
    let asked = leader.others.iter().rev().find_map(|action| match action {
        Action::Ask(Question::Echo { subject }) => Some(subject.clone()),
        _ => None,
    });
    asked.expect("an echo is asked for")
}

#[test]
fn an_event_is_settled_when_its_echo_has_come_back() {
    let mut leader = Leader::fresh();
    leader.reads(vec![row(1, 0)]);
    let subject = echo(&leader);
    leader.tell(Input::Reply(Incoming { subject: &subject, status: None, headers: &(), payload: b"" }));
    assert_eq!(leader.settles(), [(1, Status::Ok)]);
}

/// An event that a stream is to keep.
fn acked(id: i64) -> Row {
    let mut row = row(id, 15);
    if let Content::Whole(published) = &mut row.content {
        published.is_acked = true;
    }
    row
}

#[test]
fn one_that_a_stream_is_to_keep_is_settled_by_the_acknowledgement_and_sent_again_without_one() {
    let mut leader = Leader::fresh();
    leader.reads(vec![acked(1), acked(2)]);
    let (first, second) = (leader.sent[0], leader.sent[1]);
    // A service that hears it as well says nothing about it.
    let answer = format!(r#"{{"jsonrpc":"2.0","id":"{}","result":1}}"#, first.uid);
    leader.replies(first, None, &[], &answer);
    leader.replies(first, None, &[], r#"{"stream":"S","seq":7}"#);
    assert_eq!(leader.settles(), [(1, Status::Ok)]);
    leader.pass(ATTEMPT_TIMEOUT);
    let again = leader.sent[2];
    assert_eq!((again.uid, again.number), (second.uid, 2));
    leader.replies(again, Some(503), &[], "");
    leader.pass(Duration::from_secs(15));
    assert_eq!(leader.settles(), [(2, Status::Timeout)], "the attempt before may have been kept");
}

#[test]
fn without_a_stream_an_event_that_is_to_be_kept_is_unavailable() {
    let mut leader = Leader::fresh();
    leader.reads(vec![acked(1)]);
    let mut refused = 0;
    while leader.core.messages.len() > 0 {
        if leader.sent.len() > refused {
            let attempt = leader.sent[refused];
            leader.replies(attempt, Some(503), &[], "");
            refused += 1;
        } else {
            leader.pass(Duration::from_millis(10));
        }
    }
    assert!(refused > 2, "it is tried again");
    assert_eq!(leader.settles(), [(1, Status::Unavailable)]);
}

#[test]
fn after_a_reconnect_events_and_requests_are_sent_again() {
    let mut leader = Leader::fresh();
    leader.reads(vec![row(1, 0), row(2, 15)]);
    let before = echo(&leader);
    leader.tell(Input::Connection { up: true, number: 2 });
    assert_eq!(leader.sent.iter().map(|it| it.number).collect::<Vec<_>>(), [1, 1, 2, 2]);
    leader.tell(Input::Reply(Incoming { subject: &before, status: None, headers: &(), payload: b"" }));
    assert_eq!(leader.core.messages.len(), 2, "an echo of before says nothing");
}
