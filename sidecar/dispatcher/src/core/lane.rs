//! One lane: the messages in flight to one target service, and the rows that wait for it.

mod belt;
mod classes;
mod copies;
mod fetching;
mod news;
mod places;
mod questions;
mod queue;
mod refused;
mod share;
mod window;

use std::time::Instant;

use tpro_runtime::presence::Presence;
use tpro_wire::{
    priority::{Priority, Turns},
    random::Random,
};

#[cfg(test)]
pub use self::belt::{ANSWER, PAUSE};
#[cfg(test)]
pub use self::refused::{FIRST_REST, LONGEST_REST, REFUSED_PER_LANE};
pub use self::{
    belt::Belt,
    copies::CopyId,
    queue::Waiting,
    share::{OWN_BYTES, OWN_SHARE, Share},
};
use self::{classes::Classes, news::News, refused::Refused, window::Window};
use super::{in_flight::Key, message::Refusal};

/// One lane.
pub struct Lane {
    /// `space.service`.
    name: Box<str>,
    window: Window,
    /// Its messages in flight and the rows that wait, by their priority.
    classes: Classes,
    /// The turns of its priorities, where the window has fewer places than they have parts.
    turns: Turns,
    /// Outcomes that are not yet through their reply handler.
    handling: usize,
    /// Bytes of the bodies it holds, flying or refused.
    bytes: usize,
    /// The mean size of its bodies, lately.
    mean: usize,
    refused: Refused,
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
            classes: Classes::default(),
            turns: Turns::default(),
            handling: 0,
            bytes: 0,
            mean: 0,
            refused: Refused::new(),
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
        let holds = self.classes.flying() + self.handling + self.classes.fetching() + self.refused.len();
        // A lane of the Go system is remembered as one.
        holds + self.classes.put_off() + self.classes.waiting() == 0 && !self.belt.is_go()
    }

    /// New messages of this priority that may take off.
    fn room(&self, priority: Priority, share: Share) -> usize {
        if self.classes.get(priority).is_full() || self.belt.is_closed() {
            return 0;
        }
        let most = self.most(share);
        let left = self.window.most().min(most).saturating_sub(self.used() + self.refused.in_places());
        self.classes.room(priority, self.shared(priority, most, share)).min(left)
    }

    /// The places of the window that the priorities share. Where several want places, these are no
    /// more than the bytes suffice for: else the first that is asked would take all bytes.
    fn shared(&self, priority: Priority, most: usize, share: Share) -> usize {
        let places = self.window.size().min(most);
        if !self.classes.are_several(priority) {
            return places;
        }
        let bodies = (self.bytes + share.free_bytes) / 2 / self.mean.max(1);
        places.min(bodies.max(1))
    }

    /// The places that its window leaves for the refused.
    fn window_left(&self, share: Share) -> usize {
        self.window.size().min(self.most(share)).saturating_sub(self.used())
    }

    /// The messages it may have in flight at most. Outcomes at reply handlers say nothing about the
    /// target, and are bounded by what a lane may hold.
    fn most(&self, share: Share) -> usize {
        share.lane.min(share.free.max(share.own)).saturating_sub(self.handling)
    }

    /// Messages in flight, and those that are being fetched for it.
    fn used(&self) -> usize {
        self.classes.flying() + self.classes.fetching()
    }

    /// Half of what messages of this priority may hold, which is worth a read.
    fn enough(&self, priority: Priority, share: Share) -> usize {
        let places = self.shared(priority, share.free.max(share.own), share);
        (self.classes.part(priority, places) / 2).min(share.page)
    }

    /// Lets a message of this size fly, if there is room.
    pub fn take_off(&mut self, priority: Priority, bytes: usize, share: Share) -> bool {
        self.mean = smoothed(self.mean, bytes);
        // One message larger than all the room there is may fly when it flies alone.
        let most = share.free_bytes.saturating_sub(bytes).max(share.own_bytes());
        let bytes_fit = share.idle || self.bytes + bytes <= most;
        if self.room(priority, share) == 0 || !bytes_fit {
            return false;
        }
        self.classes.get_mut(priority).take_off();
        self.bytes += bytes;
        true
    }

    /// A flying message found nobody; it waits among the refused. Returns whether it is news that
    /// nobody runs the service.
    pub fn refuse(
        &mut self,
        (key, priority): (Key, Priority),
        refusal: Refusal,
        who: CopyId,
        random: &mut Random,
        now: Instant,
    ) -> bool {
        let keeps_its_place = self.refused.push(key, priority, refusal, random, now);
        self.classes.get_mut(priority).refuse(keeps_its_place);
        if keeps_its_place {
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
        let (key, priority, kept_its_place) = self.refused.next(has_room, random, now, refused)?;
        let class = self.classes.get_mut(priority);
        class.leave_refused(kept_its_place);
        class.take_off();
        Some(key)
    }

    /// When there is something to do for it, if nothing happens before. The moment may have passed.
    pub fn wakes_at(&self, share: Share, now: Instant) -> impl Iterator<Item = Instant> + use<> {
        // One that has rested and was not asked has no room; it waits for a landing or for its
        // window to grow.
        let fetches = Priority::ALL.map(|priority| self.fetches_at(priority, share, now));
        let times = [self.refused.rested_at(), self.recovers_at(), self.belt.due()];
        times.into_iter().chain(fetches).flatten()
    }

    /// When `recover` has something to do, if nothing happens before.
    fn recovers_at(&self) -> Option<Instant> {
        let full = self.used() >= self.window.size();
        let waits = self.waiting() + self.refused.len() > 0;
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
        let used = self.classes.flying() + self.refused.in_places();
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
        self.classes.waiting()
    }

    /// Rows of this priority that wait.
    pub fn waiting_with(&self, priority: Priority) -> usize {
        self.classes.get(priority).queue().len()
    }

    /// Keeps a row as its id, behind those of its priority that wait.
    pub fn wait(&mut self, priority: Priority, row: Waiting) {
        self.classes.get_mut(priority).queue_mut().push(row);
    }

    /// Puts a fetched row of this size, for which there was no room after all, back before the
    /// others.
    pub fn wait_first(&mut self, priority: Priority, row: Waiting, bytes: usize) {
        self.classes.get_mut(priority).queue_mut().put_back(row, bytes);
    }

    /// Drops rows that wait and are not to be kept; how many they were.
    pub fn forget_waiting(&mut self, keep: impl Fn(i64) -> bool) -> usize {
        self.classes.values_mut().map(|class| class.queue_mut().forget(&keep)).sum()
    }

    /// True if it holds so much that its rows of this priority are better read without their
    /// bodies.
    pub fn is_tight(&self, priority: Priority, share: Share) -> bool {
        if self.classes.flying() + self.handling + self.refused.len() == 0 {
            return false;
        }
        let has_room = self.room(priority, share) >= self.enough(priority, share).max(1);
        let has_bytes = self.bytes + self.mean < share.free_bytes.max(OWN_BYTES);
        !(has_room && has_bytes)
    }

    /// True if it is tight for a priority that has messages. The lowest counts always: most
    /// messages have it.
    pub fn is_felt(&self, priority: Priority, share: Share) -> bool {
        let counts = priority == Priority::default() || self.classes.get(priority).is_busy();
        counts && self.is_tight(priority, share)
    }

    /// Since when it is tight for this priority; it is now.
    pub fn tight_since(&mut self, priority: Priority, now: Instant) -> Instant {
        self.classes.get_mut(priority).tight_since(now)
    }

    /// It is not tight for this priority.
    pub fn has_opened(&mut self, priority: Priority) {
        self.classes.get_mut(priority).has_opened();
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
        self.classes.flying()
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
