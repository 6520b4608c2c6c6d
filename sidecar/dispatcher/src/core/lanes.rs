//! Lanes: one window of messages in flight per target service, so that nobody waits behind another
//! service's trouble.
//!
//! Messages in flight have three bounds: per lane, in total, and in bytes. A lane may hold as much
//! as is still free in total (the dynamic threshold of Choudhury and Hahne for shared switch
//! buffers, IEEE/ACM ToN 6(2), 1998). So a few stuck lanes leave room for the next one. Each lane
//! also has a small share of its own, unless outcomes cannot be written.
//!
//! A window begins small. It grows with each answer, and shrinks with each message that an
//! overloaded target refuses. So it follows what the target can do, and a takeover makes no storm.
//!
//! A row whose lane has no room is kept as its id only (8 bytes) and is read again when the lane
//! opens. It is one mechanism for lanes that are busy and lanes that are dead.
//!
//! A message that nobody took waits among the refused while its budget runs. The lane then tries
//! one of them at a time, after pauses, until somebody answers. One that found nobody at home
//! leaves the window, and the others of its lane are sent meanwhile. One that an overloaded copy
//! refused keeps its place in it, unless it is a repeat: what is sent is what the target can do,
//! and what it cannot do yet waits in the outbox, where no budget runs.

mod belts;
mod hold;
mod load;
mod slots;
#[cfg(test)]
mod tests;

use std::time::Instant;

use tpro_runtime::presence::Presence;
use tpro_wire::{priority::Priority, random::Random};

pub use self::load::Bounds;
use self::{hold::Hold, load::Load, slots::Slots};
use super::{
    in_flight::Key,
    lane::{CopyId, Lane, Waiting},
    lane_id::LaneId,
    message::{Place, Refusal},
};

/// The window that a lane begins with.
const FIRST_WINDOW: usize = 128;

/// All lanes.
pub struct Lanes {
    slots: Slots,
    load: Load,
    /// Rows that wait as ids.
    waiting: usize,
    hold: Hold,
    /// Questions for the Go system so far.
    questions: u32,
    /// The jitter of back-offs.
    random: Random,
}

impl Lanes {
    /// None yet. `belts` says whether a lane is closed until it is known that the Go system does
    /// not answer for its service.
    pub fn new(bounds: Bounds, belts: bool, random: Random) -> Self {
        Self {
            slots: Slots::new(belts),
            load: Load::new(bounds),
            waiting: 0,
            hold: Hold::default(),
            questions: 0,
            random,
        }
    }

    /// The lane with this name (`space.service`), for a message of this priority. Makes the lane if
    /// there is none.
    pub fn of(&mut self, name: &str, priority: Priority) -> LaneId {
        let slot = self.slots.of(name, FIRST_WINDOW.min(self.load.bounds().lane));
        LaneId { slot, priority }
    }

    /// Messages that await a reply.
    pub fn flying(&self) -> usize {
        self.load.flying()
    }

    /// The rows to read at a time: the page, unless bodies have been so large lately that it
    /// would not fit.
    pub fn page(&self) -> usize {
        self.load.page()
    }

    /// Rows that wait as ids.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// True if so many outcomes are to be written that sending more makes no sense.
    pub fn is_choked(&self) -> bool {
        self.load.is_choked()
    }

    /// Lets a message of this size fly, if its lane has room and none of its priority waits before
    /// it.
    pub fn admit(&mut self, id: LaneId, bytes: usize) -> bool {
        let open = self.slots.get_mut(id).is_some_and(|lane| lane.waiting_with(id.priority) == 0);
        open && self.take_off(id, bytes)
    }

    /// Lets a message that was fetched for its lane fly; it is ahead of those that still wait. All
    /// rows of the read are [`Self::fetched`] before, so that the first have room before the last.
    pub fn admit_fetched(&mut self, id: LaneId, bytes: usize) -> bool {
        let flies = self.take_off(id, bytes);
        if flies && let Some(lane) = self.slots.get_mut(id) {
            lane.fetched_flies(id.priority);
        }
        flies
    }

    /// A row that was asked for has come, or will not.
    pub fn fetched(&mut self, id: LaneId) {
        if let Some(lane) = self.slots.get_mut(id) {
            lane.fetched(id.priority);
        }
    }

    fn take_off(&mut self, id: LaneId, bytes: usize) -> bool {
        let share = self.load.share();
        self.load.note(bytes);
        let flies = self.slots.get_mut(id).is_some_and(|lane| lane.take_off(id.priority, bytes, share));
        if flies {
            self.load.take_off(bytes);
        }
        flies
    }

    /// Keeps a row as its id, behind those of its lane and priority that wait.
    pub fn wait(&mut self, id: LaneId, row: Waiting) {
        if let Some(lane) = self.slots.get_mut(id) {
            lane.wait(id.priority, row);
            self.waiting += 1;
        }
    }

    /// Puts a fetched row of this size, for which there was no room after all, back before the
    /// others.
    pub fn wait_first(&mut self, id: LaneId, row: Waiting, bytes: usize) {
        if let Some(lane) = self.slots.get_mut(id) {
            lane.wait_first(id.priority, row, bytes);
            self.waiting += 1;
        }
    }

    /// Drops rows that wait as ids and are not to be kept; how many they were.
    pub fn forget_waiting(&mut self, keep: impl Fn(i64) -> bool) -> usize {
        let gone = self.slots.iter_mut().map(|lane| lane.forget_waiting(&keep)).sum();
        self.waiting -= gone;
        gone
    }

    /// A flying message found nobody; it waits among the refused. Returns whether it is news that
    /// nobody runs its service.
    pub fn refuse(&mut self, id: LaneId, key: Key, refusal: Refusal, who: CopyId, now: Instant) -> bool {
        let Some(lane) = self.slots.get_mut(id) else { return false };
        let news = lane.refuse((key, id.priority), refusal, who, &mut self.random, now);
        self.load.refuse();
        news
    }

    /// A refused message that may be sent again now; it flies. `refused` tells why a message was
    /// refused, if it still waits for another try.
    pub fn next_refused(
        &mut self,
        now: Instant,
        mut refused: impl FnMut(Key) -> Option<Refusal>,
    ) -> Option<Key> {
        let share = self.load.share();
        let random = &mut self.random;
        let key =
            self.slots.iter_mut().find_map(|lane| lane.next_refused(share, random, now, &mut refused))?;
        self.load.try_again();
        Some(key)
    }

    /// Lets windows that are full of slow messages grow.
    pub fn recover(&mut self, now: Instant) {
        let most = self.load.bounds().lane;
        self.slots.iter_mut().for_each(|lane| lane.recover(most, now));
    }

    /// When to ask `recover`, `next_refused` and `take_fetch` again, if no message lands before.
    pub fn rested_at(&self, now: Instant) -> Option<Instant> {
        let share = self.load.share();
        let times = self.slots.iter().flat_map(|lane| lane.wakes_at(share, now));
        times.filter(|until| *until > now).min()
    }

    /// The signs that the service of a lane is there at all. None where the lane is gone: it is as
    /// good as known.
    pub fn presence(&mut self, id: LaneId) -> Option<&mut Presence> {
        self.slots.get_mut(id).map(Lane::presence)
    }

    /// A copy of the lane's service has answered. Returns whether it is news that somebody is
    /// there.
    pub fn alive(&mut self, id: LaneId, who: CopyId, now: Instant) -> bool {
        let most = self.load.bounds().lane;
        self.slots.get_mut(id).is_some_and(|lane| lane.alive(most, who, now))
    }

    /// Somebody of the lane's service is there and at work. Returns whether that is news.
    pub fn present(&mut self, id: LaneId) -> bool {
        self.slots.get_mut(id).is_some_and(Lane::present)
    }

    /// A copy of the service with this name is back.
    pub fn back(&mut self, name: &str, now: Instant) {
        if let Some(lane) = self.slots.named(name) {
            lane.back(now);
        }
    }

    /// The handler of a message has put it off: it leaves its place in the lane, and waits without
    /// one.
    pub fn put_off(&mut self, id: LaneId, place: Place) {
        if let Some(lane) = self.slots.get_mut(id)
            && lane.put_off(id.priority, place)
        {
            self.load.refuse();
        }
    }

    /// A message that was put off is due; it flies.
    pub fn come_back(&mut self, id: LaneId) {
        if let Some(lane) = self.slots.get_mut(id) {
            lane.come_back(id.priority);
            self.load.try_again();
        }
    }

    /// A message has its outcome: its place in the lane is free, its outcome of so many bytes is to
    /// be written.
    pub fn land(&mut self, id: LaneId, bytes: usize, place: Place, outcome: usize) {
        let flew = self.slots.get_mut(id).is_some_and(|lane| lane.land(id.priority, bytes, place));
        self.load.land(bytes, flew, outcome);
    }

    /// A message of this size leaves its place without an outcome of ours.
    pub fn let_go(&mut self, id: LaneId, bytes: usize, place: Place) {
        self.land(id, bytes, place, 0);
        self.settled(1, 0);
    }

    /// True if a lane's service is to be asked now if it is there; it is taken for being asked
    /// until [`Self::asked`].
    pub fn asks(&mut self, id: LaneId, now: Instant) -> bool {
        self.slots.get_mut(id).is_some_and(|lane| lane.asks(now))
    }

    /// The service was asked over this connection, or (none) could not be.
    pub fn asked(&mut self, id: LaneId, connection: Option<u64>, now: Instant) {
        if let Some(lane) = self.slots.get_mut(id) {
            lane.asked(connection, now);
        }
    }

    /// An outcome that never flew (expired, unreadable) is to be written.
    pub fn settle_unsent(&mut self, outcome: usize) {
        self.load.settle_unsent(outcome);
    }

    /// An outcome that has landed goes to its reply handler first. Until that is done it keeps its
    /// place in the lane, so that a handler that is slow or hangs closes its own lane and no other.
    pub fn begin_handling(&mut self, id: LaneId) {
        if let Some(lane) = self.slots.get_mut(id) {
            lane.begin_handling();
            self.load.begin_handling();
        }
    }

    /// Its reply handler is done; it is to be written, or is.
    pub fn handled(&mut self, id: LaneId) {
        if let Some(lane) = self.slots.get_mut(id) {
            lane.handled();
            self.load.handled();
        }
    }

    /// Outcomes are written.
    pub fn settled(&mut self, count: usize, bytes: usize) {
        self.load.settled(count, bytes);
    }

    /// Rows to fetch now: all lanes and their priorities in turn.
    pub fn take_fetch(&mut self, now: Instant) -> Vec<(LaneId, Waiting)> {
        let mut rows = Vec::new();
        if self.waiting == 0 {
            return rows;
        }
        let share = self.load.share();
        let mut taken = 0;
        for (slot, lane) in self.slots.in_turn() {
            for priority in lane.turns() {
                let left = share.page - rows.len();
                let (count, bytes) = lane.fetchable(priority, share, left, taken, now);
                if count > 0 {
                    taken += bytes;
                    lane.fetch(priority, count, share, now, |row| {
                        rows.push((LaneId { slot, priority }, row));
                    });
                }
            }
        }
        self.waiting -= rows.len();
        rows
    }

    /// The lanes and priorities whose rows are better read without their bodies now, as
    /// `space.service.priority`.
    pub fn closed(&self) -> Vec<String> {
        let share = self.load.share();
        let all = self.slots.iter().flat_map(|lane| Priority::ALL.map(|priority| (lane, priority)));
        all.filter(|(lane, priority)| lane.waiting_with(*priority) > 0 || lane.is_felt(*priority, share))
            .map(|(lane, priority)| format!("{}.{}", lane.name(), priority.number()))
            .collect()
    }
}
