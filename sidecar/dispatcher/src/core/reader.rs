//! Where reading is: between which two snapshots, and how far within them.

use super::snapshot::{Snapshot, Xid};

/// The rows that are read next: those visible in `until` (or now) and not in `seen`, after the row
/// `after`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Everything visible in it has been read.
    pub seen: Snapshot,
    /// Fixed while a window of several pages is read.
    pub until: Option<Snapshot>,
    /// The last row of the page before.
    pub after: (Xid, i64),
    /// The transactions that were open in `seen` are known to be young. This decides how the window
    /// is read, and not what is found.
    pub is_young: bool,
}

impl Window {
    /// The window from this snapshot on.
    fn new(seen: Snapshot, until: Option<Snapshot>) -> Self {
        Self { seen, until, after: Default::default(), is_young: false }
    }

    /// True if few rows that were read lie between its ends: nothing is paged, and the transactions
    /// that were open in `seen` are young, if there are any.
    pub fn is_short(&self) -> bool {
        let is_whole = self.until.is_none() && self.after == Default::default();
        is_whole && (self.is_young || self.seen.open().is_empty())
    }
}

/// The reader's place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reader {
    window: Window,
}

impl Reader {
    /// Reads all that becomes visible after this snapshot.
    pub fn new(seen: Snapshot) -> Self {
        Self { window: Window::new(seen, None) }
    }

    /// Reads one window and no further: what is visible in `until` and was not in `seen`.
    pub fn of_window(seen: Snapshot, until: Snapshot) -> Self {
        Self { window: Window::new(seen, Some(until)) }
    }

    /// The window to read next.
    pub fn window(&self) -> Window {
        self.window.clone()
    }

    /// The last id of the page before, within a window; else 0.
    pub fn last_id(&self) -> i64 {
        self.window.after.1
    }

    /// Everything visible in it has been read.
    pub fn seen(&self) -> &Snapshot {
        &self.window.seen
    }

    /// True between two windows: everything that was read is visible in `seen`.
    pub fn is_between(&self) -> bool {
        self.window.until.is_none()
    }

    /// A page was read in snapshot `cur`; `last` is its last row, if it has any. Returns whether
    /// there may be more.
    ///
    /// A full page leaves both ends of the window where they are: the next page must read the same
    /// set of rows, else what commits meanwhile with a smaller (tx, id) would be passed over.
    pub fn advance(&mut self, cur: Snapshot, last: Option<(Xid, i64)>, full: bool) -> bool {
        match last {
            Some(last) if full => {
                self.window.until.get_or_insert(cur);
                self.window.after = last;
                true
            }
            _ => {
                let seen = self.window.until.take().unwrap_or(cur);
                self.window = Window::new(seen, None);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_keeps_both_its_ends_until_a_page_is_short() {
        let mut reader = Reader::new(Snapshot::at(5));
        assert!(reader.advance(Snapshot::at(9), Some((Xid(6), 1)), true));
        let paged = Window { after: (Xid(6), 1), ..Window::new(Snapshot::at(5), Some(Snapshot::at(9))) };
        assert_eq!(reader.window(), paged);
        assert!(!reader.is_between());
        assert!(reader.advance(Snapshot::at(9), Some((Xid(7), 2)), true));
        assert_eq!(reader.window().after, (Xid(7), 2));
        assert!(!reader.advance(Snapshot::at(9), None, false));
        assert_eq!(reader.window(), Window::new(Snapshot::at(9), None));
        assert!(reader.is_between());
    }

    #[test]
    fn a_short_page_ends_its_window_at_once() {
        let mut reader = Reader::new(Snapshot::at(5));
        assert!(!reader.advance(Snapshot::at(7), Some((Xid(6), 1)), false));
        assert_eq!(reader.seen(), &Snapshot::at(7));
    }
}
