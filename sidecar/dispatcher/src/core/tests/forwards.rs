//! Replies that are published to the label of their row.

use super::*;
use crate::core::recovery::Recovered;

/// A row that names a label for its reply.
fn labelled(id: i64) -> Row {
    let mut row = row(id, 15);
    row.forwards = true;
    if let Content::Whole(published) = &mut row.content {
        published.reply_to = Some("orders".to_owned());
    }
    row
}

/// The rows whose replies are asked for.
fn asked(leader: &mut Leader) -> Vec<i64> {
    let Statement::Forward(ids) = leader.take("Forward") else { unreachable!() };
    ids
}

/// Answers what was asked with a reply of each row.
fn read(leader: &mut Leader, ids: &[i64]) {
    let reply = |id: &i64| Forward {
        id: *id,
        uid: Uid::v7(1, [*id as u8; 10]),
        label: "orders".to_owned(),
        status: Status::Ok,
        payload: b"1".to_vec(),
    };
    leader.tell(Input::Done(Done::Forwards(ids.iter().map(reply).collect())));
}

fn published(leader: &Leader) -> Vec<i64> {
    let replies = leader.others.iter().filter_map(|action| match action {
        Action::Forward(reply) => Some(reply.id),
        _ => None,
    });
    replies.collect()
}

/// Waits until it looks for replies of others.
fn looks(leader: &mut Leader) {
    while !leader.statements.iter().any(|it| name(it) == "Recall") {
        if leader.statements.iter().any(|it| name(it) == "Page") {
            leader.reads(Vec::new());
        }
        leader.pass(Duration::from_millis(1));
    }
    leader.take("Recall");
}

/// Answers the next look for replies of others: these rows have one, and the first names a label.
fn recall(leader: &mut Leader, gone: Vec<i64>) {
    looks(leader);
    leader.tell(Input::Done(Done::Recalled { gone, owed: vec![1] }));
}

/// The last echo that was asked for comes back.
fn echo(leader: &mut Leader) {
    let asked = leader.others.iter().rev().find_map(|action| match action {
        Action::Ask(Question::Echo { subject }) => Some(subject.clone()),
        _ => None,
    });
    let subject = asked.expect("an echo is asked for");
    leader.tell(Input::Reply(Incoming { subject: &subject, status: None, headers: &(), payload: b"" }));
}

/// A leader with one settled row that names a label.
fn settled() -> Leader {
    let mut leader = Leader::fresh();
    leader.reads(vec![labelled(1)]);
    let first = leader.sent[0];
    leader.answers(first);
    assert_eq!(leader.settles(), [(1, Status::Ok)]);
    leader
}

#[test]
fn a_reply_is_published_after_its_commit_and_pending_until_the_server_has_it() {
    let mut leader = settled();
    assert_eq!(asked(&mut leader), [1]);
    assert!(published(&leader).is_empty(), "the table says what is published");
    read(&mut leader, &[1]);
    assert_eq!((published(&leader), leader.unsettled()), (vec![1], 1));
    echo(&mut leader);
    assert_eq!((leader.unsettled(), leader.core.counts.forwarded.get()), (0, 1));
}

#[test]
fn a_row_without_a_label_asks_for_nothing() {
    let mut leader = Leader::fresh();
    leader.reads(vec![row(1, 15)]);
    let first = leader.sent[0];
    leader.answers(first);
    leader.settles();
    assert!(!leader.statements.iter().any(|it| name(it) == "Forward"));
    assert_eq!(leader.unsettled(), 0);
}

#[test]
fn a_reply_that_a_lost_connection_held_is_read_and_published_again() {
    let mut leader = settled();
    asked(&mut leader);
    read(&mut leader, &[1]);
    leader.tell(Input::Connection { up: true, number: 2 });
    assert_eq!(asked(&mut leader), [1]);
    read(&mut leader, &[1]);
    assert_eq!(published(&leader), [1, 1]);
    echo(&mut leader);
    assert_eq!(leader.unsettled(), 0);
}

#[test]
fn a_row_that_others_have_settled_is_published_and_not_taken_for_settled_before() {
    let mut leader = Leader::fresh();
    leader.reads(vec![labelled(1), row(2, 15)]);
    leader.tell(Input::Cancelled);
    recall(&mut leader, vec![1, 2]);
    assert_eq!((asked(&mut leader), leader.unsettled()), (vec![1], 1));
    // The next look finds its reply, too.
    recall(&mut leader, vec![1]);
    read(&mut leader, &[1]);
    echo(&mut leader);
    assert_eq!((published(&leader), leader.unsettled()), (vec![1], 0));
}

#[test]
fn a_row_that_is_read_with_a_reply_is_published_whether_it_has_a_body_or_not() {
    let mut leader = Leader::fresh();
    let Statement::Page { limit, .. } = leader.take("Page") else { unreachable!() };
    let bare = Row { content: Content::Bare, ..labelled(2) };
    let (cur, rows) = (Snapshot::at(100), vec![labelled(1), bare, row(3, 15)]);
    leader.tell(Input::Done(Done::Page { cur, rows, limit, gone: vec![1, 2, 3] }));
    assert_eq!(asked(&mut leader), [1, 2]);
    assert!(leader.sent.is_empty());
}

#[test]
fn a_leader_that_takes_over_publishes_what_may_be_lost() {
    let (seen, until) = (Snapshot::at(5), Some(Snapshot::at(9)));
    let mut leader = Leader::new(Found { seen, until, pending: Vec::new(), owed: vec![1], stuck: None });
    assert_eq!(asked(&mut leader), [1]);
    read(&mut leader, &[1]);
    leader.take("Recover");
    let (cur, last) = (Snapshot::at(9), Some((Xid(6), 2)));
    leader.tell(Input::Done(Done::Recovered(Recovered {
        cur,
        last,
        full: false,
        rows: Vec::new(),
        owed: vec![2],
    })));
    assert_eq!(asked(&mut leader), [2]);
    read(&mut leader, &[2]);
    assert_eq!(published(&leader), [1, 2]);
}

#[test]
fn the_cursor_moves_when_the_server_has_the_reply() {
    let mut leader = settled();
    asked(&mut leader);
    read(&mut leader, &[1]);
    assert_eq!(moves::moves(&mut leader), [1]);
    echo(&mut leader);
    assert_eq!(moves::moves(&mut leader), [0; 0]);
}

#[test]
fn a_row_that_is_gone_with_its_partition_is_owed_nothing() {
    let mut leader = settled();
    asked(&mut leader);
    read(&mut leader, &[]);
    assert_eq!((published(&leader), leader.unsettled()), (vec![], 0));
}

#[test]
fn a_leader_that_is_told_to_stop_waits_for_the_echo_and_leaves_the_rest_as_pending() {
    let mut leader = settled();
    asked(&mut leader);
    read(&mut leader, &[1]);
    leader.tell(Input::Stop);
    leader.pass(Duration::from_millis(500));
    assert_eq!(leader.end(), None);
    leader.pass(LAST_REPLIES);
    let Statement::LookBack { until, moves, .. } = leader.take("LookBack") else { unreachable!() };
    let (found, owed) = (Vec::new(), Vec::new());
    leader.tell(Input::Done(Done::LookedBack { until, found, owed, drawn: 9, moves }));
    let Statement::MoveCursor(cursor) = leader.take("MoveCursor") else { unreachable!() };
    assert_eq!(cursor.pending, [1]);
}

#[test]
fn a_look_that_ends_after_the_server_has_the_reply_has_nothing_published_again() {
    let mut leader = Leader::fresh();
    leader.reads(vec![labelled(1), row(2, 15)]);
    leader.tell(Input::Cancelled);
    looks(&mut leader);
    let first = leader.sent[0];
    leader.answers(first);
    assert_eq!(leader.settles(), [(1, Status::Ok)]);
    assert_eq!(asked(&mut leader), [1]);
    read(&mut leader, &[1]);
    echo(&mut leader);
    assert_eq!((published(&leader), leader.unsettled()), (vec![1], 1));
    leader.tell(Input::Done(Done::Recalled { gone: vec![1], owed: vec![1] }));
    assert!(!leader.statements.iter().any(|it| name(it) == "Forward"));
    assert_eq!((published(&leader), leader.unsettled()), (vec![1], 1));
}
