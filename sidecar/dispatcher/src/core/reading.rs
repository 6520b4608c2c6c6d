//! Rows on their way in: which statement reads next, and how far reading has come.

use std::time::{Duration, Instant};

use super::{
    bell::{Act, Bell, Found},
    cursor::Unsettled,
    floor::Floor,
    reader::{Reader, Window},
    recall::{Look, Recall},
    recovery::Recovered,
    ring_cost::RingCost,
    snapshot::{Snapshot, Xid},
};

/// The reads that are under way.
#[derive(Default)]
struct Busy {
    /// When the page was asked for.
    page: Option<Instant>,
    fetch: bool,
    /// A page of the recovery, or a look back below the floor.
    look: bool,
}

/// The place of reading, and the reads that are under way.
pub struct Reading {
    bell: Bell,
    ring_cost: RingCost,
    reader: Reader,
    floor: Floor,
    /// Ids of a partition.
    width: i64,
    /// Rows that a leader before may have sent, while they are being looked through.
    recovery: Option<Reader>,
    /// Rows that others may have settled.
    recall: Recall,
    busy: Busy,
    /// Until when the next page is held back, as was found in this turn.
    hold: Option<Instant>,
}

impl Reading {
    /// Begins at the durable cursor of the leader before, whose snapshot is `seen`. What is visible
    /// in `until`, that leader may have sent; none: nothing more than the cursor says. A partition
    /// has `width` ids.
    pub fn new(bell: Bell, seen: Snapshot, until: Option<Snapshot>, width: i64, now: Instant) -> Self {
        // Rows that are published from now on do not wait until all before them is looked through.
        let floor = Floor::new(width, seen.clone());
        let (reader, recovery) = match until {
            None => (Reader::new(seen), None),
            Some(until) => (Reader::new(until.clone()), Some(Reader::of_window(seen, until))),
        };
        let (busy, hold, recall) = (Busy::default(), None, Recall::new(now));
        Self { bell, ring_cost: RingCost::default(), reader, floor, width, recovery, recall, busy, hold }
    }

    /// True while the bell is the dispatcher's.
    pub fn is_armed(&self) -> bool {
        self.bell.is_armed()
    }

    /// Somebody has published.
    pub fn rung(&mut self, now: Instant) {
        self.bell.rung(now);
    }

    /// A batch of so many replies was written in so long: publishers' commits take as long.
    pub fn replies_written(&mut self, rows: usize, time: Duration) {
        self.ring_cost.written(rows, time);
        self.bell.allow(self.ring_cost.gap());
    }

    /// Somebody may have settled what is in hand here.
    pub fn cancelled(&mut self) {
        self.recall.ring();
    }

    /// True if a look at what others have settled waits for the reads that are under way.
    pub fn is_held_back(&self, now: Instant) -> bool {
        self.recall.holds_reads(now)
    }

    /// True if everything that was read is visible in [`Self::seen`].
    pub fn is_between(&self) -> bool {
        self.reader.is_between()
    }

    /// True if nothing of a leader before is still to be looked through.
    pub fn has_recovered(&self) -> bool {
        self.recovery.is_none()
    }

    /// Everything visible in it has been read; rows below the floor may be left out.
    pub fn seen(&self) -> &Snapshot {
        self.reader.seen()
    }

    /// The last id of the page before.
    pub fn last_id(&self) -> i64 {
        self.reader.last_id()
    }

    /// The floor, below which nothing is read.
    pub fn floor(&self) -> &Floor {
        &self.floor
    }

    /// True if transactions have ended since the last look back.
    pub fn is_behind(&self) -> bool {
        self.floor.seen() != self.reader.seen()
    }

    /// The statement that the bell wants now; none while a page is under way.
    pub fn act(&self, now: Instant) -> Option<Act> {
        if self.busy.page.is_some() { None } else { self.bell.act(now) }
    }

    /// When to look at the bell again.
    pub fn bell_due(&self) -> Option<Instant> {
        self.bell.next()
    }

    /// The bell is being taken, or let go.
    pub fn bell_begins(&mut self, act: Act) {
        self.bell.begun(act);
    }

    /// The bell was asked for: it is ours, or a publisher is about to commit. So many services of
    /// the database are led.
    pub fn bell_taken(&mut self, ours: bool, leaders: u32, now: Instant) {
        self.ring_cost.leaders(leaders);
        self.bell.allow(self.ring_cost.gap());
        self.bell.taken(ours, now);
    }

    /// The bell was let go.
    pub fn bell_let_go(&mut self, now: Instant) {
        self.bell.let_go(now);
    }

    /// Holds the next page back until this moment, or not.
    pub fn hold(&mut self, until: Option<Instant>) {
        self.hold = until;
    }

    /// Until when the next page is held back.
    pub fn held_until(&self) -> Option<Instant> {
        self.hold
    }

    /// A page is being read. Gives its window and the first id, and true if rows of it may have a
    /// reply.
    pub fn page_begins(&mut self, now: Instant) -> (Window, i64, bool) {
        self.bell.begun(Act::Read);
        self.busy.page = Some(now);
        if self.reader.is_between() {
            self.recall.window_begins();
        }
        (self.reader.window(), self.floor.first(), self.recall.doubts_unread())
    }

    /// A page of so many rows, of `limit` at most, was read in snapshot `cur`; `last` is its last
    /// row.
    pub fn page_read(
        &mut self,
        cur: Snapshot,
        last: Option<(Xid, i64)>,
        (rows, limit): (usize, usize),
        now: Instant,
    ) -> Found {
        if let Some(began) = self.busy.page.take() {
            self.ring_cost.read(rows, now.saturating_duration_since(began));
        }
        // The last page of a window shows what was visible at its beginning.
        let is_old = !self.reader.is_between();
        let more = self.reader.advance(cur, last, rows == limit);
        if !more {
            self.recall.window_ends();
        }
        match rows {
            _ if more || is_old => Found::More,
            0 => Found::Nothing,
            _ => Found::Some(u32::try_from(rows).unwrap_or(u32::MAX)),
        }
    }

    /// The rows of the page are in hand.
    pub fn page_taken(&mut self, found: Found, now: Instant) {
        self.bell.read(found, now);
    }

    /// Rows are being fetched. Returns true if they may have a reply.
    pub fn fetch_begins(&mut self) -> bool {
        self.busy.fetch = true;
        self.recall.doubts_fetched()
    }

    /// True while rows are being fetched.
    pub fn is_fetching(&self) -> bool {
        self.busy.fetch
    }

    /// The rows have come.
    pub fn fetched(&mut self) {
        self.busy.fetch = false;
    }

    /// The next rows that a leader before may have sent, if there are more and none are under way.
    pub fn recovery(&self) -> Option<Window> {
        self.recovery.as_ref().filter(|_| !self.busy.look).map(Reader::window)
    }

    /// A page of the recovery, or a look back, is under way.
    pub fn look_begins(&mut self) {
        self.busy.look = true;
    }

    /// True while a page of the recovery, or a look back, is under way.
    pub fn is_looking(&self) -> bool {
        self.busy.look
    }

    /// A page was looked through. Returns true if it was the last.
    pub fn recovered(&mut self, page: Recovered) -> bool {
        self.busy.look = false;
        let Some(recovery) = &mut self.recovery else { return false };
        if recovery.advance(page.cur, page.last, page.full) {
            return false;
        }
        // Up to its end now all of it is read; of the reader's, what was read since.
        self.floor = Floor::new(self.width, recovery.seen().clone());
        self.recovery = None;
        true
    }

    /// All below the floor that is visible in `until` is in hand; `drawn` is the last id that was
    /// drawn by then.
    pub fn looked_back(&mut self, until: Snapshot, drawn: i64) {
        self.busy.look = false;
        self.floor.looked_back(until, drawn);
    }

    /// The rows to be looked at for replies of others, if it is time; it is taken for under way.
    pub fn look(&mut self, unsettled: &Unsettled, now: Instant) -> Option<Look> {
        let Busy { page, fetch, look } = self.busy;
        self.recall.look(unsettled, page.is_some() || fetch || look, now)
    }

    /// A look has ended. Returns true if all rows in hand were looked at.
    pub fn looked(&mut self, now: Instant) -> bool {
        self.recall.looked(now)
    }

    /// When to look again.
    pub fn look_due(&self, now: Instant) -> Option<Instant> {
        self.recall.due(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_does_not_show_what_is_visible_now_is_followed_by_another() {
        let now = Instant::now();
        let bell = Bell::new(Duration::ZERO, None, now);
        let mut reading = Reading::new(bell, Snapshot::at(5), None, 1000, now);
        let mut page = |cur, last: Option<(u64, i64)>, rows| {
            reading.page_begins(now);
            let last = last.map(|(tx, id)| (Xid(tx), id));
            let found = reading.page_read(Snapshot::at(cur), last, (rows, 2), now);
            reading.page_taken(found, now);
            found
        };
        assert_eq!(page(9, Some((6, 2)), 2), Found::More, "it is full");
        assert_eq!(page(12, Some((7, 3)), 1), Found::More, "it shows what was visible at 9");
        assert_eq!(page(12, Some((10, 4)), 1), Found::Some(1));
        assert_eq!(page(12, None, 0), Found::Nothing);
    }
}
