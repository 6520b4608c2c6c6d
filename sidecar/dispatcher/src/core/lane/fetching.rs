//! The reads for the rows of a lane that wait as ids: when they are worth it, and for how many.

use std::time::Instant;

use super::{Lane, Share, Waiting};
use tpro_wire::priority::Priority;

impl Lane {
    /// When the rows of this priority that wait are worth a read: when half of its part of the
    /// window is free; after a while for fewer, since the rest of it may be full of slow messages.
    /// None while there is no room.
    pub(super) fn fetches_at(&self, priority: Priority, share: Share, now: Instant) -> Option<Instant> {
        let queue = self.classes.get(priority).queue();
        if queue.is_empty() || self.room(priority, share) == 0 {
            return None;
        }
        Some(queue.next_fetch().filter(|_| !self.is_open(priority, share)).unwrap_or(now))
    }

    /// True if half of the part of this priority is free, or as much as waits.
    fn is_open(&self, priority: Priority, share: Share) -> bool {
        self.room(priority, share) >= self.enough(priority, share).min(self.waiting_with(priority))
    }

    /// Rows of this priority to fetch now, `page` at most, and the bytes that they may have. So
    /// many bytes are promised to others (`taken`).
    pub fn fetchable(
        &self,
        priority: Priority,
        share: Share,
        page: usize,
        taken: usize,
        now: Instant,
    ) -> (usize, usize) {
        if self.waiting_with(priority) == 0 {
            return (0, 0);
        }
        // The refused of a lane that answers again go first; fetch when there is room beyond them.
        let backlog = if self.refused.rests() { 0 } else { self.classes.absent_before(priority) };
        let room = self.room(priority, share).saturating_sub(backlog);
        if room == 0 || self.fetches_at(priority, share, now).is_none_or(|at| now < at) {
            return (0, 0);
        }
        // As many as `take_off` will admit, or they would come in vain, again and again.
        let open = share.free_bytes.saturating_sub(taken + self.bytes) / 2;
        let space = open.max(share.own_bytes().saturating_sub(self.bytes));
        let queue = self.classes.get(priority).queue();
        let fit = match queue.first() {
            // The mean may be that of others, large ones perhaps; when nothing stands in the way,
            // it shows.
            None => (space / self.mean.max(1)).max(usize::from(self.bytes == 0)),
            Some(first) if first <= space => (space / self.mean.max(1)).max(1),
            Some(_) => usize::from(share.idle && taken == 0),
        };
        let count = room.min(queue.len()).min(page).min(fit);
        (count, count * self.mean)
    }

    /// The priorities of rows that wait, that whose turn it is first.
    pub fn turns(&self) -> impl Iterator<Item = Priority> + use<> {
        let waits = self.turns.order().map(|priority| (priority, self.waiting_with(priority) > 0));
        waits.into_iter().filter_map(|(priority, waits)| waits.then_some(priority))
    }

    /// Hands out so many of the rows of this priority that wait; they are going to be fetched.
    pub fn fetch(
        &mut self,
        priority: Priority,
        count: usize,
        share: Share,
        now: Instant,
        take: impl FnMut(Waiting),
    ) {
        let opened = self.is_open(priority, share);
        let classes = &self.classes;
        self.turns.took(priority, |other| !classes.get(other).queue().is_empty());
        self.classes.get_mut(priority).queue_mut().fetch(count, opened, now, take);
    }

    /// A row of this priority that was asked for has come, or will not.
    pub fn fetched(&mut self, priority: Priority) {
        self.classes.get_mut(priority).queue_mut().fetched();
    }

    /// A row of this priority that was asked for flies.
    pub fn fetched_flies(&mut self, priority: Priority) {
        let class = self.classes.get_mut(priority);
        if class.queue().has_opened() {
            // The time until it opens again is counted from now.
            class.has_opened();
        }
    }
}
