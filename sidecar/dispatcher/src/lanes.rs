//! Lanes: one window of messages in flight per target service, so that nobody waits behind another service's trouble.
//!
//! What is in flight is bounded three ways: per lane, in total, and in bytes. A lane may hold no more than what is still
//! free in total (the dynamic threshold of Choudhury and Hahne for shared switch buffers, IEEE/ACM ToN 6(2), 1998), so
//! that a few stuck lanes together still leave room for the next one; and a small share is every lane's own, however many
//! are stuck, unless outcomes cannot be written. A window begins small, grows with each answer and shrinks with each message
//! that an overloaded target refuses, and so finds by itself what the target can do; a takeover makes no storm.
//!
//! A row whose lane has no room is kept as its id only (8 bytes) and is read again when the lane opens. It is one
//! mechanism for lanes that are busy and lanes that are dead.
//!
//! A message that nobody took waits among the refused while its budget runs. The lane then tries one of them at a time, after
//! pauses, until somebody answers. One that found nobody at home leaves the window, and the others of its lane are sent
//! meanwhile. One that an overloaded copy refused keeps its place in it, unless it is a repeat: what is sent is what the target
//! can do, and what it cannot do yet waits in the outbox, where no budget runs.

use std::{collections::HashMap, time::Instant};

use tpro_runtime::presence::Presence;

use super::{
    in_flight::Key,
    lane::{CopyId, FIRST_WINDOW, Lane, Share, Waiting, smoothed},
    lane_id::LaneId,
    message::Refusal,
};

/// What a lane may always hold, whatever the others do: messages, and bytes of bodies.
const OWN_SHARE: usize = 16;
const OWN_BYTES: usize = 64 << 10;
/// Anybody may publish to any name: at this many lanes those that hold nothing are forgotten, and when all hold something
/// further names share one lane.
const LANES_MAX: usize = 1024;
/// The lane that such names share; no name of a service is empty.
const SHARED: &str = "";

/// The bounds of all lanes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Messages in flight per lane.
    pub lane: usize,
    /// Messages in flight, and outcomes not yet written, in total.
    pub total: usize,
    /// Bytes of bodies and of results not yet written, in total.
    pub bytes: usize,
    /// Rows per read.
    pub page: usize,
}

/// All lanes.
pub(super) struct Lanes {
    bounds: Bounds,
    lanes: Vec<Option<Lane>>,
    free: Vec<u32>,
    by_name: HashMap<Box<str>, LaneId>,
    flying: usize,
    handling: usize,
    settling: usize,
    bytes: usize,
    waiting: usize,
    /// The mean size of all bodies, lately.
    mean: usize,
    /// Where the last fetch ended, so that all lanes have their turn.
    turn: usize,
    /// Since when reading is held.
    held_since: Option<Instant>,
}

impl Lanes {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            lanes: Vec::new(),
            free: Vec::new(),
            by_name: HashMap::new(),
            flying: 0,
            handling: 0,
            settling: 0,
            bytes: 0,
            waiting: 0,
            mean: 0,
            turn: 0,
            held_since: None,
        }
    }

    /// The lane of a name (`space.service`), made if there is none.
    pub fn of(&mut self, name: &str) -> LaneId {
        if let Some(id) = self.by_name.get(name) {
            return *id;
        }
        if self.by_name.len() >= LANES_MAX {
            self.forget_idle();
            if self.by_name.len() >= LANES_MAX && name != SHARED {
                return self.of(SHARED);
            }
        }
        let lane = Lane::new(name, FIRST_WINDOW.min(self.bounds.lane));
        let id = match self.free.pop() {
            Some(slot) => {
                self.lanes[slot as usize] = Some(lane);
                LaneId(slot)
            }
            None => {
                self.lanes.push(Some(lane));
                LaneId((self.lanes.len() - 1) as u32)
            }
        };
        self.by_name.insert(name.into(), id);
        id
    }

    /// Messages that await a reply.
    pub fn flying(&self) -> usize {
        self.flying
    }

    /// How many rows to read at a time: the page, unless bodies have been so large lately that it would not fit.
    pub fn page(&self) -> usize {
        (self.free_bytes() / self.mean.max(1)).clamp(1, self.bounds.page)
    }

    /// Rows that wait as ids.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Bytes that may still be taken up.
    fn free_bytes(&self) -> usize {
        self.bounds.bytes.saturating_sub(self.bytes)
    }

    /// Lets a message of this size fly, if its lane has room and nobody waits before it.
    pub fn admit(&mut self, id: LaneId, bytes: usize) -> bool {
        let open = self.get(id).is_some_and(|lane| lane.waiting.is_empty());
        open && self.take_off(id, bytes)
    }

    /// Lets a message that was fetched for its lane fly; it is ahead of those that still wait.
    pub fn admit_fetched(&mut self, id: LaneId, bytes: usize) -> bool {
        self.fetched(id);
        let flies = self.take_off(id, bytes);
        if flies && let Some(lane) = self.get_mut(id) {
            lane.fetched_flies();
        }
        flies
    }

    /// A row that was asked for has come, or will not.
    pub fn fetched(&mut self, id: LaneId) {
        if let Some(lane) = self.get_mut(id) {
            lane.fetching = lane.fetching.saturating_sub(1);
        }
    }

    fn take_off(&mut self, id: LaneId, bytes: usize) -> bool {
        let (share, free_bytes, idle) = (self.share(), self.free_bytes(), self.bytes == 0);
        self.mean = smoothed(self.mean, bytes);
        let Some(lane) = self.get_mut(id) else { return false };
        lane.mean = smoothed(lane.mean, bytes);
        // One message larger than all the room there is may fly when it flies alone.
        let most = free_bytes.saturating_sub(bytes).max(if share.own > 0 { OWN_BYTES } else { 0 });
        let bytes_fit = idle || lane.bytes + bytes <= most;
        if lane.room(share) == 0 || !bytes_fit {
            return false;
        }
        lane.flying += 1;
        lane.bytes += bytes;
        self.flying += 1;
        self.bytes += bytes;
        true
    }

    /// Keeps a row as its id, behind those of its lane that wait.
    pub fn wait(&mut self, id: LaneId, row: Waiting) {
        if let Some(lane) = self.get_mut(id) {
            lane.waiting.push_back(row);
            self.waiting += 1;
        }
    }

    /// Puts a fetched row of this size, for which there was no room after all, back before the others.
    pub fn wait_first(&mut self, id: LaneId, row: Waiting, bytes: usize) {
        if let Some(lane) = self.get_mut(id) {
            lane.waiting.push_front(row);
            lane.first = bytes;
            self.waiting += 1;
        }
    }

    /// Drops rows that wait as ids and are not to be kept; how many they were.
    pub fn forget_waiting(&mut self, keep: impl Fn(i64) -> bool) -> usize {
        let gone = self.lanes.iter_mut().flatten().map(|lane| lane.forget_waiting(&keep)).sum();
        self.waiting -= gone;
        gone
    }

    /// A flying message found nobody; it waits among the refused. Returns whether it is news that nobody
    /// runs its service.
    pub fn refuse(&mut self, id: LaneId, key: Key, refusal: Refusal, who: CopyId, now: Instant) -> bool {
        let Some(lane) = self.get_mut(id) else { return false };
        let news = lane.refuse(key, refusal, who, now);
        self.flying -= 1;
        news
    }

    /// A refused message that may be sent again now; it flies. `refused` tells why a message was refused, if it still waits for
    /// another try.
    pub fn next_refused(
        &mut self,
        now: Instant,
        mut refused: impl FnMut(Key) -> Option<Refusal>,
    ) -> Option<Key> {
        let share = self.share();
        let mut lanes = self.lanes.iter_mut().flatten();
        let key = lanes.find_map(|lane| lane.next_refused(share, now, &mut refused))?;
        self.flying += 1;
        Some(key)
    }

    /// Lets windows that are full of slow messages grow.
    pub fn recover(&mut self, now: Instant) {
        let most = self.bounds.lane;
        self.lanes.iter_mut().flatten().for_each(|lane| lane.recover(most, now));
    }

    /// When to ask `recover`, `next_refused` and `take_fetch` again, if no message lands before.
    pub fn rested_at(&self, now: Instant) -> Option<Instant> {
        let share = self.share();
        let lanes = self.lanes.iter().flatten();
        // One that has rested and was not asked has no room; it waits for a landing or for its window to grow.
        let times = lanes.flat_map(|lane| {
            let rest = lane.rest.as_ref().filter(|_| !lane.refused.is_empty());
            [rest.map(|rest| rest.until), lane.recovers_at(), lane.fetches_at(share, self.bounds.page, now)]
        });
        times.flatten().filter(|until| *until > now).min()
    }

    /// Whether the service of a lane is there at all; as good as known where the lane is gone.
    pub fn presence(&mut self, id: LaneId) -> Option<&mut Presence> {
        self.get_mut(id).map(|lane| &mut lane.presence)
    }

    /// A copy of the lane's service has answered. Returns whether it is news that somebody is there.
    pub fn alive(&mut self, id: LaneId, who: CopyId, now: Instant) -> bool {
        let most = self.bounds.lane;
        self.get_mut(id).is_some_and(|lane| lane.alive(most, who, now))
    }

    /// Somebody of the lane's service is there and at work. Returns whether that is news.
    pub fn present(&mut self, id: LaneId) -> bool {
        self.get_mut(id).is_some_and(Lane::present)
    }

    /// A copy of the service with this name is back.
    pub fn back(&mut self, name: &str, now: Instant) {
        let lane = self.by_name.get(name).copied().and_then(|id| self.get_mut(id));
        lane.into_iter().for_each(|lane| lane.back(now));
    }

    /// A message, flying or refused, has its outcome: its place in the lane is free, its outcome of so many bytes is to be written.
    pub fn land(&mut self, id: LaneId, bytes: usize, refused: Option<Refusal>, outcome: usize) {
        if let Some(lane) = self.get_mut(id) {
            lane.bytes -= bytes;
            if let Some(refusal) = refused {
                lane.leave_refused(refusal);
            } else {
                lane.flying -= 1;
                self.flying -= 1;
            }
        }
        self.bytes = self.bytes - bytes + outcome;
        self.settling += 1;
    }

    /// An outcome that never flew (expired, unreadable) is to be written.
    pub fn settle_unsent(&mut self, outcome: usize) {
        self.bytes += outcome;
        self.settling += 1;
    }

    /// An outcome that has landed goes to its reply handler first. Until that is done it keeps its place in the lane, so that a
    /// handler that is slow or hangs closes its own lane and no other.
    pub fn begin_handling(&mut self, id: LaneId) {
        if let Some(lane) = self.get_mut(id) {
            lane.handling += 1;
            self.handling += 1;
            self.settling -= 1;
        }
    }

    /// Its reply handler is done; it is to be written, or is.
    pub fn handled(&mut self, id: LaneId) {
        if let Some(lane) = self.get_mut(id) {
            lane.handling -= 1;
            self.handling -= 1;
            self.settling += 1;
        }
    }

    /// Outcomes are written.
    pub fn settled(&mut self, count: usize, bytes: usize) {
        self.settling -= count;
        self.bytes -= bytes;
    }

    /// Whether so many outcomes are to be written that sending more makes no sense.
    pub fn is_choked(&self) -> bool {
        self.settling >= self.bounds.total / 2
    }

    /// Rows to fetch now, all lanes in turn.
    pub fn take_fetch(&mut self, now: Instant) -> Vec<(LaneId, Waiting)> {
        let mut rows = Vec::new();
        if self.waiting == 0 {
            return rows;
        }
        let lanes = self.lanes.len();
        let (free, mut taken) = (self.free_bytes(), 0);
        for step in 0..lanes {
            let index = (self.turn + step) % lanes;
            let share = self.share();
            let page = self.bounds.page - rows.len();
            let Some(lane) = &mut self.lanes[index] else { continue };
            // The refused of a lane that answers again go first; fetch when there is room beyond them.
            let backlog = if lane.rest.is_none() { lane.absent() } else { 0 };
            let room = lane.room(share).saturating_sub(backlog);
            let due = lane.fetches_at(share, self.bounds.page, now).is_some_and(|at| now >= at);
            if !due || room == 0 || page == 0 {
                continue;
            }
            // As many as `take_off` will admit, or they would come in vain, again and again.
            let own_bytes = if share.own > 0 { OWN_BYTES.saturating_sub(lane.bytes) } else { 0 };
            let open = free.saturating_sub(taken + lane.bytes) / 2;
            let space = open.max(own_bytes);
            let fit = match lane.first {
                // The mean may be that of others, large ones perhaps; when nothing stands in the way, it shows.
                0 => (space / lane.mean.max(1)).max(usize::from(lane.bytes == 0)),
                first if first <= space => (space / lane.mean.max(1)).max(1),
                _ => usize::from(self.bytes == 0 && taken == 0),
            };
            let count = room.min(lane.waiting.len()).min(page).min(fit);
            if count == 0 {
                continue;
            }
            taken += count * lane.mean;
            self.waiting -= count;
            lane.fetch(count, share, self.bounds.page, now, |row| rows.push((LaneId(index as u32), row)));
        }
        self.turn = if lanes == 0 { 0 } else { (self.turn + 1) % lanes };
        rows
    }

    fn share(&self) -> Share {
        let free = self.bounds.total.saturating_sub(self.flying + self.handling + self.settling);
        Share { free, own: if self.is_choked() { 0 } else { OWN_SHARE }, lane: self.bounds.lane }
    }

    fn forget_idle(&mut self) {
        for (index, slot) in self.lanes.iter_mut().enumerate() {
            if slot.as_ref().is_some_and(Lane::is_idle)
                && let Some(lane) = slot.take()
            {
                self.by_name.remove(&lane.name);
                self.free.push(index as u32);
            }
        }
    }

    fn get(&self, id: LaneId) -> Option<&Lane> {
        self.lanes.get(id.0 as usize)?.as_ref()
    }

    fn get_mut(&mut self, id: LaneId) -> Option<&mut Lane> {
        self.lanes.get_mut(id.0 as usize)?.as_mut()
    }
}

mod hold;

#[cfg(test)]
mod tests;
