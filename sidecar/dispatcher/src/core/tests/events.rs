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
