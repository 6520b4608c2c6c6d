//! A leader that is told to stop.

use super::*;

/// Answers the last look back with nothing, and gives the cursor that is left.
fn last_move(leader: &mut Leader) -> cursor::Cursor {
    last_move_past(leader, Vec::new())
}

/// Answers the last look back with these rows, and gives the cursor that is left.
fn last_move_past(leader: &mut Leader, found: Vec<Unreplied>) -> cursor::Cursor {
    assert!(leader.others.iter().any(|action| matches!(action, Action::Abandon)));
    leader.statements.retain(|it| name(it) == "LookBack");
    let Statement::LookBack { until, moves, .. } = leader.take("LookBack") else { unreachable!() };
    leader.tell(Input::Done(Done::LookedBack { until, found, owed: Vec::new(), drawn: 9, moves }));
    let Statement::MoveCursor(cursor) = leader.take("MoveCursor") else { unreachable!() };
    leader.tell(Input::Done(Done::Moved));
    cursor
}

#[test]
fn it_waits_for_its_replies_and_leaves_a_clean_cursor() {
    let mut leader = Leader::fresh();
    leader.reads(vec![row(1, 15)]);
    let first = leader.sent[0];
    leader.tell(Input::Stop);
    leader.pass(Duration::from_millis(500));
    assert_eq!(leader.end(), None);
    leader.answers(first);
    assert_eq!(leader.settles(), [(1, Status::Ok)]);
    let cursor = last_move(&mut leader);
    assert!(cursor.clean && cursor.pending.is_empty());
    assert_eq!(leader.end(), Some(&End::Stopped));
}

#[test]
fn what_is_not_answered_in_time_is_pending_in_the_cursor() {
    let mut leader = Leader::fresh();
    leader.reads(vec![row(1, 15)]);
    leader.tell(Input::Stop);
    leader.pass(LAST_REPLIES);
    let cursor = last_move(&mut leader);
    assert!(cursor.clean);
    assert_eq!((cursor.pending, leader.end()), (vec![1], Some(&End::Stopped)));
}

#[test]
fn what_the_last_look_back_finds_is_left_to_the_next_leader() {
    let mut leader = Leader::fresh();
    leader.reads(Vec::new());
    leader.tell(Input::Stop);
    let cursor = last_move_past(&mut leader, vec![Unreplied::test(7)]);
    assert!(cursor.clean);
    assert_eq!((cursor.pending, leader.end()), (vec![7], Some(&End::Stopped)));
}

#[test]
fn a_session_that_does_not_answer_ends_without_a_last_move() {
    let mut leader = Leader::fresh();
    leader.reads(Vec::new());
    leader.tell(Input::Stop);
    assert_eq!(leader.end(), None);
    leader.pass(Duration::from_millis(500));
    assert_eq!(leader.end(), Some(&End::Silent));
}
