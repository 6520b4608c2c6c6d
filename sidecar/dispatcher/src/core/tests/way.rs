//! The way of a message: read, sent, answered, settled.

use super::*;

#[test]
fn a_row_is_read_sent_answered_and_settled() {
    let mut leader = Leader::fresh();
    leader.reads(vec![row(1, 15), row(2, 15)]);
    assert_eq!(leader.sent.iter().map(|it| (it.number, it.told)).collect::<Vec<_>>(), [(1, 1), (1, 1)]);
    assert_eq!(leader.unsettled(), 2);
    let first = leader.sent[0];
    leader.answers(first);
    assert_eq!(leader.unsettled(), 2, "its reply is not committed");
    assert_eq!(leader.settles(), [(1, Status::Ok)]);
    assert_eq!((leader.unsettled(), leader.core.messages.len()), (1, 1));
    leader.answers(first);
    assert_eq!(leader.core.counts.late_replies.get(), 1);
}

#[test]
fn nothing_is_sent_while_nats_has_no_room() {
    let mut leader = Leader::fresh();
    leader.open = false;
    leader.reads(vec![row(1, 15), row(2, 15)]);
    assert!(leader.core.wants_room() && leader.sent.is_empty());
    leader.tell(Input::Room);
    assert_eq!(leader.sent.len(), 1, "there was room for one");
    leader.tell(Input::Connection { up: false, number: 1 });
    assert!(!leader.core.wants_room(), "while it is away nothing waits for room");
}

#[test]
fn an_attempt_without_an_answer_is_followed_by_another_and_the_budget_ends_as_a_timeout() {
    let mut leader = Leader::fresh();
    leader.reads(vec![row(1, 12)]);
    let presence = settings().replies.subject("co", &leader.sent[0].uid, 0);
    leader.tell(Input::Reply(Incoming { subject: &presence, status: None, headers: &(), payload: b"" }));
    leader.pass(ATTEMPT_TIMEOUT + Duration::from_millis(10));
    assert_eq!(leader.sent.iter().map(|it| it.number).collect::<Vec<_>>(), [1, 2]);
    leader.pass(Duration::from_secs(7));
    assert_eq!(leader.settles(), [(1, Status::Timeout)]);
}

#[test]
fn a_message_that_is_larger_than_nats_takes_is_an_error_and_not_sent() {
    let mut leader = Leader::fresh();
    leader.open = false;
    leader.reads(vec![row(1, 15)]);
    leader.core.handle(Input::Room, leader.now);
    let Some(Action::Send(key)) = leader.core.poll(leader.now) else { panic!("nothing is sent") };
    leader.tell(Input::TooLarge { key, size: 2, most: 1 });
    assert_eq!(leader.settles(), [(1, Status::Error)]);
    assert_eq!(leader.core.counts.sent.get(), 0);
}

#[test]
fn a_uid_that_is_in_flight_is_not_sent_twice() {
    let mut leader = Leader::fresh();
    let mut twin = row(2, 15);
    if let (Content::Whole(twin), Content::Whole(first)) = (&mut twin.content, row(1, 15).content) {
        twin.uid = first.uid;
    }
    leader.reads(vec![row(1, 15), twin]);
    assert_eq!(leader.sent.len(), 1);
    assert_eq!(leader.settles(), [(2, Status::Error)]);
    assert_eq!(leader.core.lanes.flying(), 1);
}

#[test]
fn while_replies_cannot_be_written_nothing_more_is_sent() {
    let mut leader = Leader::fresh();
    leader.reads(vec![row(1, 15)]);
    let first = leader.sent[0];
    leader.answers(first);
    leader.pass(Duration::from_millis(2));
    let Statement::Settle(writing) = leader.take("Settle") else { unreachable!() };
    let (sqlstate, text) = ("53100".to_owned(), "no room".to_owned());
    let full = Unwritten { kind: Trouble::Shortage, sqlstate, text };
    leader.tell(Input::Done(Done::Settled(writing, Err(full))));
    assert_eq!(leader.shown(), [&Notice::Replies(Some("no room".to_owned()))]);
    leader.reads(vec![row(2, 15)]);
    assert!(leader.sent.len() == 1 && !leader.core.wants_room());
    leader.pass(Duration::from_secs(1));
    assert_eq!(leader.settles(), [(1, Status::Ok)]);
    assert_eq!(leader.shown().last(), Some(&&Notice::Replies(None)));
    assert_eq!(leader.sent.len(), 2, "it goes on");
}
