//! The start of a leader: it finds out how far the leader before it has come.

use rustc_hash::FxHashSet;

use super::{cursor::Cursor, snapshot::Snapshot, unreplied::Unreplied};

/// A statement of the start. They run one after the other.
#[derive(Clone, Debug)]
pub enum Inquiry {
    /// Read the durable cursor.
    Cursor,
    /// Look which of these rows have no reply.
    Unsettled(Vec<i64>),
    /// Look which of these rows, which have a reply, name a label for it.
    Owed(Vec<i64>),
    /// Move the durable cursor.
    MoveCursor(Cursor),
    /// Try if replies can be written at all.
    TryToSettle,
    /// Take the snapshot of this moment.
    Snapshot,
}

/// The answer to an inquiry.
#[derive(Clone, Debug)]
pub enum Finding {
    /// The durable cursor.
    Cursor(Cursor),
    /// Rows without a reply.
    Unsettled(Vec<Unreplied>),
    /// Rows with a reply that name a label for it.
    Owed(Vec<i64>),
    /// The cursor has moved.
    Moved,
    /// The reason why replies cannot be written, if they cannot.
    Tried(Option<String>),
    /// The snapshot of this moment.
    Snapshot(Snapshot),
}

/// The next step of the start.
#[derive(Debug)]
pub enum Begin {
    /// Run this statement, and tell what it finds.
    Ask(Inquiry),
    /// All is known: a [`Core`](super::Core) goes on from here.
    Lead(Found),
}

/// The start of a leader.
#[derive(Debug, Default)]
pub struct TakeOver {
    cursor: Option<Cursor>,
    pending: Option<Vec<Unreplied>>,
    /// Pending rows with a reply, until it is known which of them name a label for it.
    settled: Vec<i64>,
    owed: Vec<i64>,
    /// The cursor no longer says that nothing else was sent.
    marked: bool,
    tried: Option<Option<String>>,
    until: Option<Snapshot>,
}

/// The things that a leader finds.
#[derive(Debug)]
pub struct Found {
    /// Everything visible in it has been read.
    pub(super) seen: Snapshot,
    /// The leader before may have sent everything visible in it; none if it has left nothing.
    pub(super) until: Option<Snapshot>,
    /// Rows that were read and have no reply.
    pub(super) pending: Vec<Unreplied>,
    /// Rows whose reply may not have been published to the label that they name for it.
    pub(super) owed: Vec<i64>,
    /// The reason why replies cannot be written.
    pub(super) stuck: Option<String>,
}

impl TakeOver {
    /// The next step.
    pub fn step(&mut self) -> Begin {
        match (self.inquiry(), &self.cursor) {
            (None, Some(cursor)) => Begin::Lead(Found {
                seen: cursor.snapshot.clone(),
                until: self.until.take(),
                pending: self.pending.take().unwrap_or_default(),
                owed: std::mem::take(&mut self.owed),
                stuck: self.tried.take().flatten(),
            }),
            (inquiry, _) => Begin::Ask(inquiry.unwrap_or(Inquiry::Cursor)),
        }
    }

    /// The next statement; none when all is known.
    fn inquiry(&self) -> Option<Inquiry> {
        let Some(cursor) = &self.cursor else { return Some(Inquiry::Cursor) };
        if self.pending.is_none() {
            return Some(Inquiry::Unsettled(cursor.pending.clone()));
        }
        if !self.settled.is_empty() {
            return Some(Inquiry::Owed(self.settled.clone()));
        }
        if cursor.clean && !self.marked {
            // From here on something that the cursor does not know of may have been sent.
            return Some(Inquiry::MoveCursor(Cursor { clean: false, ..cursor.clone() }));
        }
        // Messages that the leader before has sent and could not settle are not sent once more.
        if self.tried.is_none() && !(cursor.clean && cursor.pending.is_empty()) {
            return Some(Inquiry::TryToSettle);
        }
        (self.until.is_none() && !cursor.clean).then_some(Inquiry::Snapshot)
    }

    /// The statement was answered.
    pub fn finds(&mut self, finding: Finding) {
        match finding {
            Finding::Cursor(cursor) => self.cursor = Some(cursor),
            Finding::Unsettled(pending) => {
                let open: FxHashSet<i64> = pending.iter().map(|row| row.id).collect();
                let named = self.cursor.iter().flat_map(|cursor| &cursor.pending);
                self.settled = named.copied().filter(|id| !open.contains(id)).collect();
                self.pending = Some(pending);
            }
            Finding::Owed(owed) => (self.owed, self.settled) = (owed, Vec::new()),
            Finding::Moved => self.marked = true,
            Finding::Tried(reason) => self.tried = Some(reason),
            Finding::Snapshot(now) => self.until = Some(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(cursor: &Cursor) -> (Vec<&'static str>, Found) {
        let (mut take_over, mut asked) = (TakeOver::default(), Vec::new());
        loop {
            let inquiry = match take_over.step() {
                Begin::Ask(inquiry) => inquiry,
                Begin::Lead(found) => return (asked, found),
            };
            let (name, finding) = match inquiry {
                Inquiry::Cursor => ("cursor", Finding::Cursor(cursor.clone())),
                Inquiry::Unsettled(ids) => (
                    "unsettled",
                    Finding::Unsettled(ids.into_iter().filter(|id| *id < 10).map(Unreplied::test).collect()),
                ),
                Inquiry::Owed(ids) => ("owed", Finding::Owed(ids)),
                Inquiry::MoveCursor(cursor) => {
                    assert!(!cursor.clean);
                    ("move", Finding::Moved)
                }
                Inquiry::TryToSettle => ("try", Finding::Tried(None)),
                Inquiry::Snapshot => ("snapshot", Finding::Snapshot(Snapshot::at(9))),
            };
            asked.push(name);
            take_over.finds(finding);
        }
    }

    #[test]
    fn a_leader_that_finds_a_clean_cursor_says_first_that_it_is_clean_no_more() {
        let cursor = Cursor { snapshot: Snapshot::at(5), pending: vec![], clean: true };
        let (statements, found) = asked(&cursor);
        assert_eq!(statements, ["cursor", "unsettled", "move"]);
        assert_eq!((found.seen, found.until), (Snapshot::at(5), None));
        let (statements, found) = asked(&Cursor { pending: vec![3], ..cursor });
        assert_eq!(statements, ["cursor", "unsettled", "move", "try"]);
        assert_eq!(found.pending.len(), 1);
    }

    #[test]
    fn of_pending_rows_with_a_reply_it_asks_which_are_to_be_published() {
        let cursor = Cursor { snapshot: Snapshot::at(5), pending: vec![3, 11, 12], clean: true };
        let (statements, found) = asked(&cursor);
        assert_eq!(statements, ["cursor", "unsettled", "owed", "move", "try"]);
        assert_eq!((found.pending.len(), found.owed), (1, vec![11, 12]));
    }

    #[test]
    fn after_a_crash_everything_up_to_now_may_have_been_sent() {
        let (statements, found) = asked(&Cursor { snapshot: Snapshot::at(5), pending: vec![], clean: false });
        assert_eq!(statements, ["cursor", "unsettled", "try", "snapshot"]);
        assert_eq!((found.seen, found.until), (Snapshot::at(5), Some(Snapshot::at(9))));
    }
}
