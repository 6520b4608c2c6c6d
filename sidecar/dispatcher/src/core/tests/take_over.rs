//! A leader that follows on another.

use super::*;
use crate::core::{recovery::Recovered, snapshot::Snapshot};

fn taken_over() -> Leader {
    let pending = vec![Unreplied::test(1)];
    Leader::new(Found {
        seen: Snapshot::at(5),
        until: Some(Snapshot::at(9)),
        pending,
        owed: Vec::new(),
        stuck: None,
    })
}

fn fetched(leader: &mut Leader, rows: Vec<Row>) {
    let Statement::Fetch { asked, .. } = leader.take("Fetch") else { unreachable!() };
    leader.tell(Input::Done(Done::Fetched { asked, rows, gone: Vec::new() }));
}

#[test]
fn rows_that_may_have_been_sent_are_found_and_sent_as_repeats() {
    let mut leader = taken_over();
    let Statement::Recover(window) = leader.take("Recover") else { unreachable!() };
    assert_eq!((window.seen, window.until), (Snapshot::at(5), Some(Snapshot::at(9))));
    let rows = vec![Unreplied::test(2)];
    leader.tell(Input::Done(Done::Recovered(Recovered {
        cur: Snapshot::at(9),
        last: Some((Xid(6), 2)),
        full: false,
        rows,
        owed: Vec::new(),
    })));
    assert_eq!(leader.unsettled(), 2);
    fetched(&mut leader, vec![row(1, 15)]);
    fetched(&mut leader, vec![row(2, 15)]);
    assert_eq!(leader.sent.iter().map(|it| (it.number, it.told)).collect::<Vec<_>>(), [(1, 2), (1, 2)]);
}

#[test]
fn a_row_that_an_earlier_leader_may_have_sent_is_never_called_untaken() {
    let mut leader = taken_over();
    fetched(&mut leader, vec![row(1, 1)]);
    for _ in 0..60 {
        let last = *leader.sent.last().expect("it was sent");
        leader.finds_nobody(last);
        leader.pass(Duration::from_millis(20));
    }
    assert_eq!(leader.settles(), [(1, Status::Timeout)]);
}

#[test]
fn rows_that_are_published_now_do_not_wait_until_all_before_is_known() {
    let mut leader = taken_over();
    leader.reads(vec![row(7, 15)]);
    assert_eq!(leader.sent.len(), 1);
}

#[test]
fn a_leader_that_cannot_settle_sends_nothing_until_it_can() {
    let stuck = Some("a trigger".to_owned());
    let mut leader = Leader::new(Found {
        seen: Snapshot::at(5),
        until: None,
        pending: Vec::new(),
        owed: Vec::new(),
        stuck,
    });
    assert_eq!(leader.shown(), [&Notice::Replies(Some("a trigger".to_owned()))]);
    assert!(!leader.statements.iter().any(|it| name(it) == "Page"), "it reads nothing");
    leader.pass(Duration::from_secs(1));
    leader.take("TryToSettle");
    leader.tell(Input::Done(Done::Tried(None)));
    leader.reads(vec![row(1, 15)]);
    assert_eq!(leader.sent.len(), 1);
}
