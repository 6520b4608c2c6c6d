//! The session that leads and the connection to NATS, when they do not answer.

use super::*;

#[test]
fn a_session_that_does_not_answer_is_given_up_unless_a_standby_explains_it() {
    let mut leader = Leader::fresh();
    leader.take("Page");
    leader.now += Duration::from_secs(6);
    leader.tell(Input::Time);
    assert!(leader.others.iter().any(|action| matches!(action, Action::AskStandby)));
    leader.tell(Input::Standby(true));
    assert_eq!(leader.shown(), [&Notice::Standby(true)]);
    leader.now += Duration::from_secs(6);
    leader.tell(Input::Time);
    assert_eq!(leader.end(), None, "it waits for a standby");
    leader.now += Duration::from_secs(6);
    leader.tell(Input::Time);
    assert_eq!(leader.end(), Some(&End::Silent));
}

#[test]
fn without_nats_for_long_the_leadership_goes_to_a_copy_that_reaches_it() {
    let mut leader = Leader::fresh();
    leader.reads(Vec::new());
    leader.tell(Input::Connection { up: false, number: 1 });
    leader.pass(Duration::from_secs(5));
    leader.tell(Input::Connection { up: true, number: 2 });
    leader.tell(Input::Connection { up: false, number: 2 });
    leader.statements.clear();
    leader.now += NATS_PATIENCE - Duration::from_millis(1);
    leader.tell(Input::Done(Done::Noted));
    assert_eq!(leader.end(), None);
    leader.now += Duration::from_millis(1);
    leader.tell(Input::Time);
    assert_eq!(leader.end(), Some(&End::Cut));
    assert_eq!(leader.core.next_timeout(), None);
}

#[test]
fn a_quiet_leader_sleeps_by_the_bell_and_reads_again_when_it_rings() {
    let mut leader = Leader::fresh();
    leader.reads(Vec::new());
    while !leader.statements.iter().any(|it| name(it) == "Sleep") {
        leader.pass(Duration::from_millis(1));
        if leader.statements.iter().any(|it| name(it) == "Page") {
            leader.reads(Vec::new());
        }
    }
    leader.take("Sleep");
    leader.tell(Input::Done(Done::Slept { ours: true, leaders: 1 }));
    leader.reads(Vec::new());
    assert!(leader.core.reading.is_armed());
    assert_eq!(leader.core.counts.asleep.get(), 1);
    leader.tell(Input::Rung);
    leader.reads(vec![row(1, 15)]);
    assert_eq!(leader.sent.len(), 1);
    assert!(leader.core.reading.is_armed(), "the bell is not let go");
}

#[test]
fn rows_that_others_have_settled_are_let_go() {
    let mut leader = Leader::fresh();
    leader.reads(vec![row(1, 15), row(2, 15)]);
    leader.tell(Input::Cancelled);
    while !leader.statements.iter().any(|it| name(it) == "Recall") {
        if leader.statements.iter().any(|it| name(it) == "Page") {
            leader.reads(Vec::new());
        }
        leader.pass(Duration::from_millis(1));
    }
    let Statement::Recall(mut ids) = leader.take("Recall") else { unreachable!() };
    ids.sort_unstable();
    assert_eq!(ids, [1, 2]);
    leader.tell(Input::Done(Done::Recalled { gone: vec![1], owed: Vec::new() }));
    assert_eq!((leader.unsettled(), leader.core.messages.len()), (1, 1));
}
