//! When the cursor moves, and what a leader shows of itself.

use super::*;

/// Lets time pass until this kind of statement is asked for. Pages are answered as empty, and the
/// bell is never to be had.
fn until(leader: &mut Leader, kind: &str) -> Statement {
    for _ in 0..10_000 {
        if leader.statements.iter().any(|it| name(it) == kind) {
            return leader.take(kind);
        }
        if leader.statements.iter().any(|it| name(it) == "Page") {
            leader.reads(Vec::new());
        }
        if leader.statements.iter().any(|it| name(it) == "Sleep") {
            leader.take("Sleep");
            leader.tell(Input::Done(Done::Slept { ours: false, leaders: 1 }));
        }
        leader.pass(Duration::from_millis(1));
    }
    panic!("no {kind} within ten seconds")
}

/// Answers the look back that is due, and the move behind it. Returns what is pending then.
pub(super) fn moves(leader: &mut Leader) -> Vec<i64> {
    let Statement::LookBack { until: seen, moves, .. } = until(leader, "LookBack") else { unreachable!() };
    assert!(moves, "there is something to tell the next leader");
    let (found, owed) = (Vec::new(), Vec::new());
    leader.tell(Input::Done(Done::LookedBack { until: seen, found, owed, drawn: 9, moves }));
    let Statement::MoveCursor(cursor) = leader.take("MoveCursor") else { unreachable!() };
    leader.tell(Input::Done(Done::Moved));
    cursor.pending
}

#[test]
fn the_cursor_moves_again_whenever_something_was_read_or_settled() {
    let mut leader = Leader::fresh();
    for id in 1..=3 {
        let Statement::Page { .. } = until(&mut leader, "Page") else { unreachable!() };
        let cur = Snapshot::at(100);
        leader.tell(Input::Done(Done::Page { cur, rows: vec![row(id, 60)], limit: 50, gone: Vec::new() }));
        assert_eq!(moves(&mut leader), [id]);
        let attempt = leader.sent[id as usize - 1];
        leader.answers(attempt);
        assert_eq!(leader.settles(), [(id, Status::Ok)]);
        assert_eq!(moves(&mut leader), [0; 0]);
    }
}

#[test]
fn it_looks_back_once_after_transactions_have_ended() {
    let mut leader = Leader::fresh();
    let Statement::LookBack { until: seen, moves, .. } = until(&mut leader, "LookBack") else {
        unreachable!()
    };
    assert!(!moves, "nothing was read");
    let (found, owed) = (Vec::new(), Vec::new());
    leader.tell(Input::Done(Done::LookedBack { until: seen, found, owed, drawn: 9, moves }));
    for _ in 0..20 {
        if leader.statements.iter().any(|it| name(it) == "Page") {
            leader.reads(Vec::new());
        }
        leader.pass(Duration::from_secs(1));
        assert!(!leader.statements.iter().any(|it| matches!(name(it), "LookBack" | "MoveCursor")));
    }
}

#[test]
fn replies_that_a_trigger_has_taken_away_hold_up_the_rest_until_they_are_written() {
    let mut leader = Leader::fresh();
    leader.reads(vec![row(1, 60)]);
    let attempt = leader.sent[0];
    leader.answers(attempt);
    leader.pass(Duration::from_millis(10));
    let Statement::Settle(writing) = leader.take("Settle") else { unreachable!() };
    leader.tell(Input::Done(Done::Settled(writing, Ok(0))));
    let Statement::Missing(writing) = leader.take("Missing") else { unreachable!() };
    leader.tell(Input::Done(Done::Missing(writing, vec![1])));
    assert!(matches!(leader.shown()[..], [Notice::Replies(Some(_))]));
    let Statement::Settle(writing) = until(&mut leader, "Settle") else { unreachable!() };
    leader.tell(Input::Done(Done::Settled(writing, Ok(1))));
    assert!(matches!(leader.shown()[..], [Notice::Replies(Some(_)), Notice::Replies(None)]));
    assert_eq!(leader.unsettled(), 0);
}
