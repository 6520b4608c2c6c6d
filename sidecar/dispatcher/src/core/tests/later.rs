//! Messages that are sent later: when the leader looks which of them are due.

use super::*;

fn sent(rows: u64, least: Option<i64>, next: u64) -> Done {
    let upto = Some(Moment(7));
    Done::SentDue(Some(Sent { rows, least, upto, next: Some(Duration::from_millis(next)) }))
}

/// The place from which the leader looks that has asked for it.
fn looks(leader: &mut Leader) -> Option<Moment> {
    let Statement::SendDue(from) = leader.take("SendDue") else { unreachable!() };
    from
}

fn asks(leader: &Leader) -> bool {
    leader.statements.iter().any(|statement| name(statement) == "SendDue")
}

#[test]
fn it_looks_when_the_next_one_is_due_and_reads_what_has_gone() {
    let mut leader = Leader::quiet();
    leader.tell(Input::DueSoon(None));
    leader.pass(Duration::from_millis(10));
    assert_eq!(looks(&mut leader), None, "nobody knows since when");
    leader.tell(Input::Done(sent(0, None, 400)));
    leader.pass(Duration::from_millis(399));
    assert!(!asks(&leader));
    leader.pass(Duration::from_millis(1));
    assert_eq!(looks(&mut leader), Some(Moment(7)), "the one before has come so far");
    // The bell is the leader's, and it sleeps.
    assert!(!leader.statements.iter().any(|statement| name(statement) == "Page"));
    leader.tell(Input::Done(sent(1, Some(3), 60_000)));
    leader.reads(vec![row(3, 60)]);
    assert_eq!(leader.sent.len(), 1);
}

#[test]
fn after_a_failure_it_looks_again_and_a_leader_that_stops_does_not() {
    let mut leader = Leader::quiet();
    leader.tell(Input::DueSoon(None));
    leader.pass(Duration::from_millis(10));
    looks(&mut leader);
    leader.tell(Input::Done(Done::SentDue(None)));
    leader.pass(Duration::from_millis(4_990));
    assert!(!asks(&leader));
    leader.pass(Duration::from_millis(10));
    looks(&mut leader);
    leader.tell(Input::Done(sent(0, None, 100)));
    leader.tell(Input::Stop);
    leader.pass(Duration::from_millis(500));
    assert!(!asks(&leader));
}
