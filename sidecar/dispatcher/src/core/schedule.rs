//! The rows that are read and not settled, and when the database is told of them: the cursor and
//! the note for publishers.

use std::time::Instant;

use super::{
    cursor::{Pace, Unsettled},
    note::{Backlog, Note},
};

/// The unsettled rows, and the pace of the cursor and of the note.
pub struct CursorSchedule {
    unsettled: Unsettled,
    pace: Pace,
    note: Note,
    /// Rows that others have settled still wait in their lanes.
    stale: bool,
}

impl CursorSchedule {
    /// The schedule of a leader that begins now.
    pub fn new(now: Instant) -> Self {
        Self { unsettled: Unsettled::default(), pace: Pace::new(now), note: Note::new(now), stale: false }
    }

    /// The rows that were read and are not known to be settled.
    pub fn unsettled(&self) -> &Unsettled {
        &self.unsettled
    }

    /// A row was read. Returns false if it was read before.
    pub fn read(&mut self, id: i64) -> bool {
        self.unsettled.add(id)
    }

    /// A row is settled, or gone.
    pub fn settled(&mut self, id: i64) {
        self.unsettled.remove(id);
    }

    /// A row was settled by others, and may still wait in its lane.
    pub fn settled_by_others(&mut self) {
        self.stale = true;
    }

    /// True once if rows that others have settled may wait in their lanes.
    pub fn take_stale(&mut self) -> bool {
        std::mem::take(&mut self.stale)
    }

    /// Something was read or settled.
    pub fn news(&mut self) {
        self.pace.news();
    }

    /// When the cursor is to move, or a look back is due.
    pub fn move_due(&self, below: bool, behind: bool) -> Option<Instant> {
        self.pace.due(below, behind)
    }

    /// True from the begin of a look back until the cursor has moved, or stays.
    pub fn is_moving(&self) -> bool {
        self.pace.is_moving()
    }

    /// A look back begins. Returns true if the cursor is to move after it.
    pub fn move_begins(&mut self, now: Instant) -> bool {
        let moves = self.pace.has_news();
        self.pace.begun(now);
        moves
    }

    /// The cursor has moved, or stays.
    pub fn moved(&mut self) {
        self.pace.moved();
    }

    /// True if it is time for a note to publishers, should there be something new to say.
    pub fn note_is_due(&self, now: Instant) -> bool {
        self.note.is_due(now)
    }

    /// A note of this backlog is made now. False, and nothing is to be written, if the last note
    /// says as much.
    pub fn note_begins(&mut self, backlog: Backlog, now: Instant) -> bool {
        self.note.begins(backlog, now)
    }

    /// It is noted.
    pub fn noted(&mut self) {
        self.note.done();
    }
}
