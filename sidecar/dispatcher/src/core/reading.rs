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
    young::Young,
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
    young: Young,
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
    below: BelowFloor,
}

/// The least pause between two looks for rows that came into the outbox below the floor.
const PAUSE: Duration = Duration::from_millis(50);

/// Rows that came into the outbox with ids below the floor, as those do that are sent at their
/// time. They are looked for at once, and not only when a look back is due.
struct BelowFloor {
    /// The least id of rows that came after the begin of the last window.
    least: Option<i64>,
    /// The number of windows so far.
    windows: u64,
    /// The last window of which all rows are in hand.
    read: u64,
    /// The first window, and the last, that leave out rows that are not looked for yet.
    left_out: Option<(u64, u64)>,
    /// The last window that was in hand when the look back began that is under way.
    looking: u64,
    /// The next look, at the earliest.
    next: Instant,
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
        let (ring_cost, young) = (RingCost::default(), Young::default());
        let below = BelowFloor { least: None, windows: 0, read: 0, left_out: None, looking: 0, next: now };
        Self { bell, ring_cost, reader, young, floor, width, recovery, recall, busy, hold, below }
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
        self.bell.begins(act);
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
        self.bell.begins(Act::Read);
        self.busy.page = Some(now);
        if self.reader.is_between() {
            self.window_begins();
            self.recall.window_begins();
        }
        let mut window = self.reader.window();
        window.is_young = self.young.are_open_in(&window.seen, now);
        (window, self.floor.first(), self.recall.doubts_unread())
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
        // The last page of a window shows what was visible at its beginning.
        let is_old = !self.reader.is_between();
        if let Some(began) = self.busy.page.take() {
            self.ring_cost.read(rows, now.saturating_duration_since(began));
            if !is_old {
                self.young.took(&cur, began);
            }
        }
        let more = self.reader.advance(cur, last, rows == limit);
        if !more {
            self.below.read = self.below.windows;
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

    /// A look back is under way.
    pub fn look_back_begins(&mut self) {
        self.below.looking = self.below.read;
        self.look_begins();
    }

    /// Rows have come into the outbox, from this id on.
    pub fn came_later(&mut self, least: i64) {
        self.below.least = Some(self.below.least.map_or(least, |before| before.min(least)));
    }

    fn window_begins(&mut self) {
        self.below.windows += 1;
        // A window from before they came may show them or not; this one does, if it asks for their
        // ids.
        let Some(least) = self.below.least.take() else { return };
        if self.floor.last_below().is_some_and(|last| least <= last) {
            let now = self.below.windows;
            self.below.left_out = Some((self.below.left_out.map_or(now, |(first, _)| first), now));
        }
    }

    /// True if rows came into the outbox below the floor, and were not looked for yet.
    pub fn expects_below(&self) -> bool {
        self.below.left_out.is_some() || self.below.least.is_some()
    }

    /// When to look for rows that came into the outbox below the floor. None: no page that was
    /// read tells of one.
    pub fn below_due(&self) -> Option<Instant> {
        let BelowFloor { read, left_out, next, .. } = self.below;
        left_out.filter(|(first, _)| read >= *first && !self.busy.look).map(|_| next)
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
    /// drawn by then, if the cursor moves now.
    pub fn looked_back(&mut self, until: Snapshot, drawn: Option<i64>, now: Instant) {
        self.busy.look = false;
        let looking = self.below.looking;
        let rest = self.below.left_out.filter(|(_, last)| looking < *last);
        self.below.left_out = rest.map(|(first, last)| (first.max(looking + 1), last));
        self.below.next = now + PAUSE;
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

    #[test]
    fn a_window_is_short_as_long_as_the_open_transactions_are_young() {
        let start = Instant::now();
        let bell = Bell::new(Duration::ZERO, None, start);
        let mut reading = Reading::new(bell, Snapshot::at(5), None, 1000, start);
        // Reads a page of so many rows, two at most. Gives true if its window was short.
        let mut page = |ms, cur: Snapshot, rows| {
            let now = start + Duration::from_millis(ms);
            let (window, ..) = reading.page_begins(now);
            let last = Some((Xid(cur.xmin()), 7)).filter(|_| rows > 0);
            let found = reading.page_read(cur, last, (rows, 2), now);
            reading.page_taken(found, now);
            window.is_short()
        };
        assert!(page(0, Snapshot::at(10), 0), "nothing was open");
        assert!(page(20, Snapshot::of(12, 14), 1), "nothing was open");
        assert!(page(21, Snapshot::of(12, 16), 1), "it began since the first page");
        assert!(page(40, Snapshot::of(12, 18), 1));
        assert!(!page(41, Snapshot::of(18, 20), 2), "it was open at the second mark");
        // The other pages of a window show its beginning, however long they take.
        assert!(!page(1_000, Snapshot::of(18, 20), 2));
        assert!(!page(1_030, Snapshot::of(18, 20), 1));
        assert!(!page(1_031, Snapshot::of(30, 40), 1), "that of the window was open for long");
        assert!(!page(1_032, Snapshot::of(30, 42), 1), "that one began while pages were read");
    }

    #[test]
    fn rows_that_came_below_the_floor_are_looked_for_when_a_window_has_left_them_out() {
        let now = Instant::now();
        let mut reading = Reading::new(Bell::new(Duration::ZERO, None, now), Snapshot::at(1), None, 100, now);
        let window = |reading: &mut Reading, cur| {
            reading.page_begins(now);
            reading.page_read(Snapshot::at(cur), None, (0, 2), now);
        };
        for (at, drawn) in [(10, 250), (20, 260), (30, 390), (40, 400), (50, 410)] {
            reading.look_back_begins();
            reading.looked_back(Snapshot::at(at), Some(drawn), now);
        }
        assert_eq!(reading.floor().last_below(), Some(199));
        let later = now + PAUSE;
        // One that reads ask for is not looked for.
        reading.came_later(200);
        window(&mut reading, 60);
        assert_eq!(reading.below_due(), None);
        // They come while a window is under way, and again while the look back is.
        reading.page_begins(now);
        reading.came_later(7);
        reading.page_read(Snapshot::at(70), None, (0, 2), now);
        assert_eq!((reading.expects_below(), reading.below_due()), (true, None), "no window shows them yet");
        window(&mut reading, 80);
        assert_eq!((reading.expects_below(), reading.below_due()), (true, Some(later)));
        reading.look_back_begins();
        assert_eq!(reading.below_due(), None, "one at a time");
        reading.came_later(8);
        window(&mut reading, 90);
        reading.looked_back(Snapshot::at(80), Some(420), now);
        assert_eq!(reading.below_due(), Some(later));
        reading.look_back_begins();
        reading.looked_back(Snapshot::at(90), Some(420), now);
        assert_eq!((reading.expects_below(), reading.below_due()), (false, None));
    }
}
