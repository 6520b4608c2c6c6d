//! Ordering keys that are held: what has failed stops those behind it.

use super::*;
use crate::core::{
    holds::{Asked, Hold},
    published::Content,
};

const KEY: &str = "a";

/// A row with the key.
fn keyed(id: i64) -> Row {
    Row { key: Some(KEY.into()), ..row(id, 15) }
}

/// A row with the key, which holds it if it fails.
fn holding(id: i64) -> Row {
    let mut row = keyed(id);
    if let Content::Whole(published) = &mut row.content {
        published.hold = Some(KEY.into());
    }
    row
}

/// A leader, and the table of holds.
struct World {
    leader: Leader,
    table: Vec<i64>,
}

impl World {
    fn new(table: &[i64], rows: Vec<Row>) -> Self {
        let mut leader = Leader::fresh();
        leader.reads(rows);
        Self { leader, table: table.to_vec() }
    }

    fn asks(&self, kind: &str) -> bool {
        self.leader.statements.iter().any(|statement| name(statement) == kind)
    }

    /// Answers what is asked of the table.
    fn shows(&mut self) {
        while self.asks("Holds") {
            let Statement::Holds(asked) = self.leader.take("Holds") else { unreachable!() };
            let is_asked = |id: &i64| match &asked {
                Asked::Of(ids) => ids.contains(id),
                Asked::Behind(behind) => id > behind,
            };
            let ids = self.table.iter().copied().filter(is_asked);
            let rows = ids.map(|id| Hold { id, lane: "tpro.co".into(), key: KEY.into() }).collect();
            self.leader.tell(Input::Done(Done::Holds(asked, rows)));
        }
    }

    /// The rows that are fetched next; they come whole, and hold if they fail.
    fn fetched(&mut self) -> Vec<i64> {
        self.shows();
        if !self.asks("Fetch") {
            return Vec::new();
        }
        let Statement::Fetch { asked, .. } = self.leader.take("Fetch") else { unreachable!() };
        let ids: Vec<i64> = asked.iter().map(|(_, row)| row.id()).collect();
        let rows = ids.iter().map(|id| holding(*id)).collect();
        self.leader.tell(Input::Done(Done::Fetched { asked, rows, gone: Vec::new() }));
        ids
    }

    /// The last that was sent fails, and its reply is written with its hold.
    fn fails(&mut self) {
        let last = *self.leader.sent.last().expect("something was sent");
        let payload =
            format!(r#"{{"jsonrpc":"2.0","id":"{}","error":{{"code":1,"message":"no"}}}}"#, last.uid);
        self.leader.replies(last, None, &[], &payload);
        let settled = self.leader.settles();
        self.table.extend(settled.iter().map(|(id, _)| *id));
        self.table.sort_unstable();
        self.table.dedup();
    }

    /// The last that was sent ends well.
    fn ends_well(&mut self) {
        let last = *self.leader.sent.last().expect("something was sent");
        self.leader.answers(last);
        let settled = self.leader.settles();
        if settled.iter().any(|(id, _)| self.table.contains(id)) {
            self.table.clear();
        }
    }

    /// Somebody has changed the table, and tells. Reads find nothing meanwhile.
    fn rings(&mut self) {
        self.leader.tell(Input::Cancelled);
        let mut looked = false;
        while !looked || self.asks("Recall") {
            if self.asks("Page") {
                self.leader.reads(Vec::new());
            }
            if self.asks("Recall") {
                self.leader.take("Recall");
                self.leader.tell(Input::Done(Done::Recalled { gone: Vec::new(), owed: Vec::new() }));
                looked = true;
            }
            self.leader.pass(Duration::from_millis(1));
        }
    }

    /// These rows are read next.
    fn reads(&mut self, rows: Vec<Row>) {
        while !self.asks("Page") {
            if self.asks("Sleep") {
                self.leader.take("Sleep");
                self.leader.tell(Input::Done(Done::Slept { ours: false, leaders: 1 }));
            }
            self.leader.pass(Duration::from_millis(1));
        }
        self.leader.reads(rows);
    }
}

#[test]
fn what_is_behind_one_that_has_failed_waits_until_the_key_is_let_go() {
    let mut world = World::new(&[], vec![holding(1), keyed(2), keyed(3)]);
    assert_eq!(world.fetched(), [1]);
    world.fails();
    assert!(!world.asks("Fetch"), "nobody knows if the key is held");
    assert_eq!(world.fetched(), [0; 0]);
    world.rings();
    assert_eq!(world.fetched(), [0; 0], "somebody has changed something else");
    world.table.clear();
    world.rings();
    assert_eq!(world.fetched(), [2]);
    world.ends_well();
    assert_eq!(world.fetched(), [3]);
}

#[test]
fn a_copy_of_the_one_that_has_failed_goes_before_the_others_and_lets_them_go() {
    let mut world = World::new(&[], vec![holding(1), keyed(2)]);
    assert_eq!(world.fetched(), [1]);
    world.fails();
    assert_eq!(world.fetched(), [0; 0]);
    // tpro.retry() adds a copy. It fails as well, and is repeated.
    for copy in [7, 8] {
        world.table.push(copy);
        world.rings();
        assert_eq!(world.fetched(), [0; 0], "the copy is not read yet");
        world.reads(vec![holding(copy)]);
        assert_eq!(world.fetched(), [copy]);
        if copy == 7 {
            world.fails();
            assert_eq!(world.fetched(), [0; 0]);
        }
    }
    world.ends_well();
    world.shows();
    // The one that wrote the reply has let the key go, and nobody rings for that.
    assert_eq!(world.fetched(), [2]);
}

#[test]
fn who_takes_over_looks_first_what_is_held() {
    let mut world = World::new(&[4], vec![keyed(5), Row { key: Some("b".into()), ..row(6, 15) }]);
    assert!(!world.asks("Fetch"));
    assert_eq!(world.fetched(), [6]);
    world.table.clear();
    world.rings();
    assert_eq!(world.fetched(), [5]);
}

#[test]
fn a_release_that_is_told_while_the_table_is_asked_is_not_missed() {
    let mut world = World::new(&[], vec![holding(1), keyed(2)]);
    assert_eq!(world.fetched(), [1]);
    world.fails();
    let Statement::Holds(asked) = world.leader.take("Holds") else { unreachable!() };
    world.rings();
    let held = Hold { id: 1, lane: "tpro.co".into(), key: KEY.into() };
    world.leader.tell(Input::Done(Done::Holds(asked, vec![held])));
    world.table.clear();
    assert_eq!(world.fetched(), [2]);
}

#[test]
fn without_keys_nobody_looks_at_the_table() {
    let mut world = World::new(&[], vec![row(1, 15)]);
    world.ends_well();
    world.rings();
    assert!(!world.asks("Holds"));
}
