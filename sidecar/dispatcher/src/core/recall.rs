//! Messages that others settle while the leader has them in hand: when to look into the tables, and
//! at which rows.
//!
//! `tpro.cancel` writes the reply itself and notifies the leader. The notification carries nothing
//! and anybody may send one: it is a reason to look, and the tables are the truth. A look begins
//! with all that is in flight, by one statement, because an attempt of it may begin at any moment.
//! A sweep over all other rows in hand follows, page by page, with pauses that leave the session to
//! the others. A flood of notifications costs a look in [`LOOK_PAUSE`] and no more.
//!
//! A row that is being read or fetched when the notification comes is not in hand yet. So a look
//! waits for the reads that are under way, and no other begins before it. Reads that begin later
//! look for replies by themselves as long as there is a doubt: fetches until the sweep is over,
//! pages of the outbox until a window that began after the notification is read to its end.
//! Everything that was cancelled before that window is in it. A new leader begins with that doubt,
//! because a row may have been cancelled before anybody has read it.

use std::time::{Duration, Instant};

use super::cursor::Unsettled;

/// The least pause between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(25);
/// Rows of a page of the sweep.
const PAGE: usize = 5_000;
/// The pause after a page of the sweep, in times that the page took.
const REST: u32 = 3;

/// The rows to look at next.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    /// At everything in flight.
    InFlight,
    /// At these rows.
    Rows(Vec<i64>),
}

/// The rows that others may have settled.
pub struct Recall {
    /// Somebody has settled something since the last look at what is in flight began.
    rung: bool,
    /// Somebody has settled something since the sweep began.
    again: bool,
    /// Words of [`Unsettled`] that the sweep has not looked at, the next one last.
    words: Vec<i64>,
    /// When the statement that is under way began.
    looking: Option<Instant>,
    next_look: Instant,
    next_page: Instant,
    /// Rows that nobody has read yet may be settled.
    unread: bool,
    /// The window that is being read began after the last notification.
    fresh: bool,
}

impl Recall {
    /// Begins with the doubt of a new leader.
    pub fn new(now: Instant) -> Self {
        Self {
            rung: false,
            again: false,
            words: Vec::new(),
            looking: None,
            next_look: now,
            next_page: now,
            unread: true,
            fresh: false,
        }
    }

    /// Somebody may have settled something.
    pub fn ring(&mut self) {
        (self.rung, self.again, self.unread, self.fresh) = (true, true, true, false);
    }

    /// True if a look waits for the reads that are under way, so that none other may begin.
    pub fn holds_reads(&self, now: Instant) -> bool {
        self.rung && self.looking.is_none() && now >= self.next_look
    }

    /// True if a row that is fetched may be settled already.
    pub fn doubts_fetched(&self) -> bool {
        self.again || !self.words.is_empty() || self.looking.is_some()
    }

    /// True if a row that is read of the outbox may be settled already.
    pub fn doubts_unread(&self) -> bool {
        self.unread
    }

    /// A window of the outbox is about to be read.
    pub fn window_begins(&mut self) {
        self.fresh = true;
    }

    /// A window of the outbox was read to its end.
    pub fn window_ends(&mut self) {
        self.unread &= !self.fresh;
    }

    /// The rows to look at now, if any; `reads` says whether a read is under way.
    pub fn look(&mut self, unsettled: &Unsettled, reads: bool, now: Instant) -> Option<Look> {
        if self.looking.is_some() {
            return None;
        }
        if self.rung && now >= self.next_look {
            if reads {
                return None;
            }
            self.rung = false;
            (self.looking, self.next_look) = (Some(now), now + LOOK_PAUSE);
            return Some(Look::InFlight);
        }
        if now < self.next_page {
            return None;
        }
        // With a look to come the sweep would only begin again after it.
        if self.words.is_empty() && !self.rung && std::mem::take(&mut self.again) {
            self.words = unsettled.words();
        }
        let mut rows = Vec::new();
        while rows.len() < PAGE
            && let Some(word) = self.words.pop()
        {
            rows.extend(unsettled.ids_in(word));
        }
        if rows.is_empty() {
            return None;
        }
        self.looking = Some(now);
        Some(Look::Rows(rows))
    }

    /// A look has ended. Returns whether the sweep is over.
    pub fn looked(&mut self, now: Instant) -> bool {
        let took = self.looking.take().map_or(Duration::ZERO, |begun| now.saturating_duration_since(begun));
        self.next_page = now + took * REST;
        self.words.is_empty()
    }

    /// When to ask `look` again, if no statement ends before.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let look = self.rung.then_some(self.next_look);
        let sweeps = !self.words.is_empty() || (self.again && !self.rung);
        let page = sweeps.then_some(self.next_page);
        let due = look.into_iter().chain(page).filter(|due| *due > now).min();
        due.filter(|_| self.looking.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_hand(ids: impl Iterator<Item = i64>) -> Unsettled {
        let mut unsettled = Unsettled::default();
        ids.for_each(|id| assert!(unsettled.add(id)));
        unsettled
    }

    #[test]
    fn a_flood_of_notifications_costs_a_look_in_a_while() {
        let (mut recall, begun) = (Recall::new(Instant::now()), Instant::now());
        let unsettled = in_hand(1..=10);
        let mut looks = 0;
        for ms in 0..1_000 {
            let now = begun + Duration::from_millis(ms);
            recall.ring();
            while recall.look(&unsettled, false, now).is_some() {
                looks += 1;
                recall.looked(now);
            }
        }
        // One at what is in flight and one page each time.
        assert!((40..=2 * 41).contains(&looks), "{looks} looks");
    }

    #[test]
    fn a_look_waits_for_reads_and_holds_up_those_after_it() {
        let now = Instant::now();
        let (mut recall, unsettled) = (Recall::new(now), in_hand(1..=1));
        assert!(!recall.holds_reads(now));
        recall.ring();
        assert!(recall.holds_reads(now));
        assert_eq!(recall.look(&unsettled, true, now), None);
        assert_eq!(recall.look(&unsettled, false, now), Some(Look::InFlight));
        assert!(!recall.holds_reads(now) && recall.doubts_fetched());
        recall.looked(now);
        assert_eq!(recall.look(&unsettled, true, now), Some(Look::Rows(vec![1])));
        assert!(recall.looked(now), "the sweep is over");
        assert!(!recall.doubts_fetched());
        assert_eq!(recall.due(now), None);
    }

    #[test]
    fn a_sweep_goes_over_all_rows_once_and_begins_again_for_a_later_notification() {
        let now = Instant::now();
        let (mut recall, unsettled) = (Recall::new(now), in_hand(1..=2 * PAGE as i64));
        recall.ring();
        assert_eq!(recall.look(&unsettled, false, now), Some(Look::InFlight));
        recall.looked(now);
        let mut swept = Vec::new();
        let Some(Look::Rows(mut rows)) = recall.look(&unsettled, false, now) else { panic!("no page") };
        swept.append(&mut rows);
        recall.ring();
        let mut at = now;
        while !recall.looked(at) || recall.again {
            at += LOOK_PAUSE;
            match recall.look(&unsettled, false, at) {
                Some(Look::Rows(mut rows)) => swept.append(&mut rows),
                Some(Look::InFlight) | None => {}
            }
        }
        let all = 1..=2 * PAGE as i64;
        assert!(swept.iter().copied().take(2 * PAGE).eq(all), "in order, and once");
        assert!(swept.len() > 2 * PAGE, "what came meanwhile is swept for, too");
    }

    #[test]
    fn what_is_read_is_doubted_until_a_window_that_began_later_is_read() {
        let mut recall = Recall::new(Instant::now());
        assert!(recall.doubts_unread(), "nobody knows what was cancelled before");
        recall.window_begins();
        recall.ring();
        recall.window_ends();
        assert!(recall.doubts_unread(), "the window is older than the notification");
        recall.window_begins();
        recall.window_ends();
        assert!(!recall.doubts_unread());
    }
}
