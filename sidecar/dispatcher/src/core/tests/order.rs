//! Messages with an ordering key: one after the other.

use super::*;
use crate::core::recovery::Recovered;

/// A row with this key, published by this transaction.
fn keyed(tx: u64, id: i64, key: &str) -> Row {
    Row { tx: Xid(tx), key: Some(key.into()), ..row(id, 15) }
}

/// Answers the fetch that was asked for with the rows of these ids, and returns their ids. No key
/// is held.
fn fetched(leader: &mut Leader) -> Vec<i64> {
    while asks(leader, "Holds") {
        let Statement::Holds(asked) = leader.take("Holds") else { unreachable!() };
        leader.tell(Input::Done(Done::Holds(asked, Vec::new())));
    }
    let Statement::Fetch { asked, .. } = leader.take("Fetch") else { unreachable!() };
    let ids: Vec<i64> = asked.iter().map(|(_, row)| row.id()).collect();
    let mut rows: Vec<Row> = ids.iter().map(|id| row(*id, 15)).collect();
    rows.sort_by_key(|row| row.id);
    leader.tell(Input::Done(Done::Fetched { asked, rows, gone: Vec::new() }));
    ids
}

fn asks(leader: &Leader, kind: &str) -> bool {
    leader.statements.iter().any(|statement| name(statement) == kind)
}

/// Answers what was sent last, and has its reply written.
fn settled(leader: &mut Leader) -> Vec<(i64, Status)> {
    let last = *leader.sent.last().expect("something was sent");
    leader.answers(last);
    leader.settles()
}

#[test]
fn one_is_sent_when_the_reply_of_the_one_before_is_written() {
    let mut leader = Leader::fresh();
    leader.reads(vec![keyed(2, 1, "a"), keyed(2, 2, "a"), row(3, 15), keyed(2, 4, "b")]);
    assert_eq!(leader.sent.len(), 1, "the one without a key");
    assert_eq!(fetched(&mut leader), [1, 4]);
    assert_eq!((leader.sent.len(), leader.core.counts.waiting.get()), (3, 1));
    let first = leader.sent[1];
    leader.answers(first);
    leader.pass(Duration::from_millis(10));
    assert!(!asks(&leader, "Fetch"), "its reply is not written");
    assert_eq!(leader.settles(), [(1, Status::Ok)]);
    assert_eq!(fetched(&mut leader), [2]);
    assert_eq!(settled(&mut leader), [(2, Status::Ok)]);
    assert!(!asks(&leader, "Fetch"));
}

#[test]
fn the_least_id_goes_first_also_if_its_transaction_is_read_later() {
    let mut leader = Leader::fresh();
    let Statement::Page { limit, .. } = leader.take("Page") else { unreachable!() };
    let page = |rows| Input::Done(Done::Page { cur: Snapshot::at(100), rows, limit, gone: Vec::new() });
    let mut rows: Vec<Row> = (10..10 + limit as i64 - 1).map(|id| row(id, 15)).collect();
    rows.insert(0, keyed(2, 5, "a"));
    leader.tell(page(rows));
    leader.pass(Duration::from_millis(1));
    assert!(!asks(&leader, "Fetch"), "the window has another page");
    leader.take("Page");
    leader.tell(page(vec![keyed(4, 3, "a")]));
    assert_eq!(fetched(&mut leader), [3]);
}

#[test]
fn a_leader_that_takes_over_begins_with_what_has_no_reply_when_it_knows_all() {
    let keyed = |id| Unreplied { key: Some("a".into()), ..Unreplied::test(id) };
    let (seen, until) = (Snapshot::at(5), Some(Snapshot::at(9)));
    let mut leader =
        Leader::new(Found { seen, until, pending: vec![keyed(4)], owed: Vec::new(), stuck: None });
    leader.reads(vec![self::keyed(20, 7, "a")]);
    leader.pass(Duration::from_millis(1));
    assert!(!asks(&leader, "Fetch"), "the leader before may have sent others");
    leader.take("Recover");
    leader.tell(Input::Done(Done::Recovered(Recovered {
        cur: Snapshot::at(9),
        last: Some((Xid(6), 3)),
        full: false,
        rows: vec![keyed(3)],
        owed: Vec::new(),
    })));
    for id in [3, 4, 7] {
        assert_eq!(fetched(&mut leader), [id]);
        assert_eq!(settled(&mut leader), [(id, Status::Ok)]);
    }
    assert_eq!(leader.sent.iter().map(|it| it.told).collect::<Vec<_>>(), [2, 2, 1]);
}

#[test]
fn those_behind_a_message_that_nobody_answers_wait_for_the_end_of_its_budget() {
    let mut leader = Leader::fresh();
    leader.reads(vec![keyed(2, 1, "a"), keyed(2, 2, "a")]);
    fetched(&mut leader);
    let last = leader.sent[0];
    leader.finds_nobody(last);
    leader.pass(Duration::from_secs(14));
    assert!(!asks(&leader, "Fetch"));
    leader.pass(Duration::from_secs(2));
    assert_eq!(leader.settles(), [(1, Status::Timeout)]);
    assert_eq!(fetched(&mut leader), [2]);
}

#[test]
fn what_is_cancelled_holds_up_nobody() {
    for gone in [vec![1], vec![1, 2], vec![2]] {
        let mut leader = Leader::fresh();
        leader.reads((1..=3).map(|id| keyed(2, id, "a")).collect());
        fetched(&mut leader);
        leader.tell(Input::Cancelled);
        leader.pass(Duration::from_millis(30));
        // In flight is the first; the others are looked at after it.
        let mut swept = 0;
        while asks(&leader, "Recall") {
            let Statement::Recall(ids) = leader.take("Recall") else { unreachable!() };
            let gone = gone.iter().copied().filter(|id| ids.contains(id)).collect();
            leader.tell(Input::Done(Done::Recalled { gone, owed: Vec::new() }));
            leader.pass(Duration::from_millis(200));
            swept += 1;
        }
        assert_eq!(swept, 2);
        if !gone.contains(&1) {
            assert_eq!(settled(&mut leader), [(1, Status::Ok)]);
        }
        let next = if gone.contains(&2) { 3 } else { 2 };
        assert_eq!(fetched(&mut leader), [next], "{gone:?} are cancelled");
        assert_eq!(leader.sent.len(), 2);
    }
}
