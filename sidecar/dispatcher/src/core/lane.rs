//! One lane: the messages in flight to one target service, and the rows that wait for it.

mod belt;
mod copies;
mod news;
mod places;
mod questions;
mod queue;
mod refused;
mod share;
mod window;

use std::time::Instant;

use tpro_runtime::presence::Presence;
use tpro_wire::random::Random;

#[cfg(test)]
pub use self::belt::{ANSWER, PAUSE};
#[cfg(test)]
pub use self::refused::{FIRST_REST, LONGEST_REST};
pub use self::{
    belt::Belt,
    copies::CopyId,
    queue::Waiting,
    refused::REFUSED_PER_LANE,
    share::{OWN_BYTES, OWN_SHARE, Share},
};
use self::{news::News, queue::Queue, refused::Refused, window::Window};
use super::{in_flight::Key, message::Refusal};

/// One lane.
pub struct Lane {
    /// `space.service`.
    name: Box<str>,
    window: Window,
    /// Messages sent, or about to be sent, and not answered.
    flying: usize,
    /// Outcomes that are not yet through their reply handler.
    handling: usize,
    /// Bytes of the bodies it holds, flying or refused.
    bytes: usize,
    /// The mean size of its bodies, lately.
    mean: usize,
    queue: Queue,
    refused: Refused,
    /// Messages that their handler has put off, and that are not due yet.
    put_off: usize,
    tight_since: Option<Instant>,
    /// The signs that the service is there at all.
    presence: Presence,
    /// The service is being asked if it is there.
    asking: bool,
    belt: Belt,
    news: News,
}

impl Lane {
    /// An empty one with a window of so many messages.
    pub fn new(name: &str, window: usize, belt: Belt) -> Self {
        Self {
            name: name.into(),
            window: Window::new(window),
            flying: 0,
            handling: 0,
            bytes: 0,
            mean: 0,
            queue: Queue::default(),
            refused: Refused::new(),
            put_off: 0,
            tight_since: None,
            // A lane without a name is shared by services of which nothing is kept.
            presence: if name.is_empty() { Presence::known() } else { Presence::default() },
            asking: false,
            belt,
            news: News::default(),
        }
    }

    /// `space.service`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True if it holds nothing and nothing waits for it.
    pub fn is_idle(&self) -> bool {
        let holds = self.flying + self.handling + self.queue.fetching() + self.refused.len();
        // A lane of the Go system is remembered as one.
        holds + self.put_off == 0 && self.queue.is_empty() && !self.belt.is_go()
    }

    /// New messages that may take off.
    fn room(&self, share: Share) -> usize {
        if self.refused.is_full() || self.put_off >= REFUSED_PER_LANE || self.belt.is_closed() {
            return 0;
        }
        self.window_left(share).saturating_sub(self.refused.in_places())
    }

    /// The places that its window leaves, for the refused as well. What is at reply handlers says
    /// nothing about the target, and is bounded by what a lane may hold at most.
    fn window_left(&self, share: Share) -> usize {
        let beyond = share.lane.min(share.free.max(share.own)).saturating_sub(self.handling);
        self.window.size().min(beyond).saturating_sub(self.flying + self.queue.fetching())
    }

    /// Half of what it may hold, which is worth a read.
    fn enough(&self, share: Share) -> usize {
        let most = self.window.size().min(share.free.max(share.own));
        (most / 2).min(share.page)
    }

    /// Lets a message of this size fly, if there is room.
    pub fn take_off(&mut self, bytes: usize, share: Share) -> bool {
        self.mean = smoothed(self.mean, bytes);
        // One message larger than all the room there is may fly when it flies alone.
        let most = share.free_bytes.saturating_sub(bytes).max(share.own_bytes());
        let bytes_fit = share.idle || self.bytes + bytes <= most;
        if self.room(share) == 0 || !bytes_fit {
            return false;
        }
        self.flying += 1;
        self.bytes += bytes;
        true
    }

    /// A flying message found nobody; it waits among the refused. Returns whether it is news that
    /// nobody runs the service.
    pub fn refuse(
        &mut self,
        key: Key,
        refusal: Refusal,
        who: CopyId,
        random: &mut Random,
        now: Instant,
    ) -> bool {
        self.flying -= 1;
        if self.refused.push(key, refusal, random, now) {
            self.window.on_overload(who, now);
        }
        refusal == Refusal::NoResponders && self.news.on_absence(now)
    }

    /// A refused message that may be sent again now; it flies. `refused` tells why a message was
    /// refused, if it still waits for another try.
    pub fn next_refused(
        &mut self,
        share: Share,
        random: &mut Random,
        now: Instant,
        refused: impl FnMut(Key) -> Option<Refusal>,
    ) -> Option<Key> {
        let has_room = self.window_left(share) > 0 && !self.belt.is_closed();
        let key = self.refused.next(has_room, random, now, refused)?;
        self.flying += 1;
        Some(key)
    }

    /// When there is something to do for it, if nothing happens before. The moment may have passed.
    pub fn wakes_at(&self, share: Share, now: Instant) -> impl Iterator<Item = Instant> + use<> {
        // One that has rested and was not asked has no room; it waits for a landing or for its
        // window to grow.
        let times =
            [self.refused.rested_at(), self.recovers_at(), self.fetches_at(share, now), self.belt.due()];
        times.into_iter().flatten()
    }

    /// When `recover` has something to do, if nothing happens before.
    fn recovers_at(&self) -> Option<Instant> {
        let full = self.flying + self.queue.fetching() >= self.window.size();
        let waits = !self.queue.is_empty() || self.refused.len() > 0;
        self.window.ticks_at().filter(|_| full && waits)
    }

    /// Lets a window that is full of slow messages grow.
    pub fn recover(&mut self, most: usize, now: Instant) {
        if self.recovers_at().is_some_and(|at| now >= at) {
            self.window.on_tick(most, now);
        }
    }

    /// A copy of the service has answered a message. Returns whether it is news that somebody is
    /// there.
    pub fn alive(&mut self, most: usize, who: CopyId, now: Instant) -> bool {
        let used = self.flying + self.refused.in_places();
        let held = self.window.on_answer(who, used, most, now);
        self.refused.on_answer(held, self.window.copies(), now);
        self.news.on_presence()
    }

    /// Somebody of the service is there and at work. Returns whether that is news.
    pub fn present(&mut self) -> bool {
        self.refused.on_presence();
        self.news.on_presence()
    }

    /// A copy of the service is back: what was refused may try again now.
    pub fn back(&mut self, now: Instant) {
        self.refused.on_return(now);
    }

    /// Rows that wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Keeps a row as its id, behind those that wait.
    pub fn wait(&mut self, row: Waiting) {
        self.queue.push(row);
    }

    /// Puts a fetched row of this size, for which there was no room after all, back before the
    /// others.
    pub fn wait_first(&mut self, row: Waiting, bytes: usize) {
        self.queue.put_back(row, bytes);
    }

    /// Drops rows that wait and are not to be kept; how many they were.
    pub fn forget_waiting(&mut self, keep: impl Fn(i64) -> bool) -> usize {
        self.queue.forget(keep)
    }

    /// When the rows that wait are worth a read: when half the window is free; after a while for
    /// fewer, since the rest of it may be full of slow messages. None while there is no room.
    fn fetches_at(&self, share: Share, now: Instant) -> Option<Instant> {
        if self.queue.is_empty() || self.room(share) == 0 {
            return None;
        }
        Some(self.queue.next_fetch().filter(|_| !self.is_open(share)).unwrap_or(now))
    }

    /// True if half the window is free, or as much as waits.
    fn is_open(&self, share: Share) -> bool {
        self.room(share) >= self.enough(share).min(self.queue.len())
    }

    /// Rows to fetch now, `page` at most, and the bytes that they may have. So many bytes are
    /// promised to others (`taken`).
    pub fn fetchable(&self, share: Share, page: usize, taken: usize, now: Instant) -> (usize, usize) {
        // The refused of a lane that answers again go first; fetch when there is room beyond them.
        let backlog = if self.refused.rests() { 0 } else { self.refused.absent() };
        let room = self.room(share).saturating_sub(backlog);
        if room == 0 || self.fetches_at(share, now).is_none_or(|at| now < at) {
            return (0, 0);
        }
        // As many as `take_off` will admit, or they would come in vain, again and again.
        let open = share.free_bytes.saturating_sub(taken + self.bytes) / 2;
        let space = open.max(share.own_bytes().saturating_sub(self.bytes));
        let fit = match self.queue.first() {
            // The mean may be that of others, large ones perhaps; when nothing stands in the way,
            // it shows.
            None => (space / self.mean.max(1)).max(usize::from(self.bytes == 0)),
            Some(first) if first <= space => (space / self.mean.max(1)).max(1),
            Some(_) => usize::from(share.idle && taken == 0),
        };
        let count = room.min(self.queue.len()).min(page).min(fit);
        (count, count * self.mean)
    }

    /// Hands out so many of the rows that wait; they are going to be fetched.
    pub fn fetch(&mut self, count: usize, share: Share, now: Instant, take: impl FnMut(Waiting)) {
        let opened = self.is_open(share);
        self.queue.fetch(count, opened, now, take);
    }

    /// A row that was asked for has come, or will not.
    pub fn fetched(&mut self) {
        self.queue.fetched();
    }

    /// A row that was asked for flies.
    pub fn fetched_flies(&mut self) {
        if self.queue.has_opened() {
            // The time until it opens again is counted from now.
            self.tight_since = None;
        }
    }

    /// True if it holds so much that its rows are better read without their bodies.
    pub fn is_tight(&self, share: Share) -> bool {
        let holds = self.flying + self.handling + self.refused.len() > 0;
        let has_room = self.room(share) >= self.enough(share).max(1);
        let has_bytes = self.bytes + self.mean < share.free_bytes.max(OWN_BYTES);
        holds && !(has_room && has_bytes)
    }

    /// Since when it is tight; it is now.
    pub fn tight_since(&mut self, now: Instant) -> Instant {
        *self.tight_since.get_or_insert(now)
    }

    /// It is not tight.
    pub fn has_opened(&mut self) {
        self.tight_since = None;
    }
}

#[cfg(test)]
impl Lane {
    /// Gives it a window of another size.
    pub fn resize(&mut self, window: usize) {
        self.window = Window::new(window);
    }

    pub fn window(&self) -> usize {
        self.window.size()
    }

    pub fn flying(&self) -> usize {
        self.flying
    }

    /// Keys of refused messages that it keeps.
    pub fn refused_kept(&self) -> usize {
        self.refused.kept()
    }
}

/// The mean with one more size, the last ones counting most.
pub fn smoothed(mean: usize, bytes: usize) -> usize {
    if mean == 0 { bytes } else { (mean * 7 + bytes) / 8 }
}
