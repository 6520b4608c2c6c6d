//! Lanes: one window of messages in flight per target service, so that nobody waits behind another service's trouble.
//!
//! What is in flight is bounded three ways: per lane, in total, and in bytes. A lane may hold no more than what is still
//! free in total (the dynamic threshold of Choudhury and Hahne for shared switch buffers, IEEE/ACM ToN 6(2), 1998), so
//! that a few stuck lanes together still leave room for the next one; and a small share is every lane's own, however many
//! are stuck, unless outcomes cannot be written. A window begins small and grows with each answer,
//! halves when the target is overloaded, and so finds by itself what the target can do; a takeover makes no storm.
//!
//! A row whose lane has no room is kept as its id only (8 bytes) and is read again when the lane opens. It is one
//! mechanism for lanes that are busy and lanes that are dead.
//!
//! A message that found nobody at home (no responders, overloaded) leaves the window and waits among the refused: its
//! budget runs, the others of its lane are sent meanwhile. The lane then tries one of them at a time, after growing
//! pauses, until somebody answers.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{
    in_flight::Key,
    lane::{FIRST_WINDOW, Lane, Share, Waiting, smoothed},
    message::Refusal,
};

/// What a lane may always hold, whatever the others do: messages, and bytes of bodies.
const OWN_SHARE: usize = 16;
const OWN_BYTES: usize = 64 << 10;
/// How long reading waits for a lane that has just become tight. A busy lane opens again within it, and its rows are then
/// read once, with their bodies, instead of twice; a slow or dead lane does not, and is read past.
const PATIENCE: Duration = Duration::from_millis(10);
/// The longest that reading is held, whatever lanes become tight one after the other; then as long it is not.
const LONGEST_HOLD: Duration = Duration::from_millis(50);
/// How many pages may wait in a lane for which reading is held. One that opens in time catches up with so many, and from
/// then on its rows are read once again; else the first page beyond its window would have all that follow read twice.
const CATCH_UP: usize = 4;
/// Anybody may publish to any name: at this many lanes those that hold nothing are forgotten, and when all hold something
/// further names share one lane.
const LANES_MAX: usize = 1024;
/// The lane that such names share; no name of a service is empty.
const SHARED: &str = "";

/// Which lane: stays with it while it holds anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct LaneId(u32);

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
            // It has opened; how long it takes until it does again is counted from now.
            lane.tight_since = None;
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

    /// A flying message found nobody; it waits among the refused. Returns whether it is news that nobody
    /// runs its service.
    pub fn refuse(&mut self, id: LaneId, key: Key, refusal: Refusal, now: Instant) -> bool {
        let Some(lane) = self.get_mut(id) else { return false };
        let news = lane.refuse(key, refusal, now);
        self.flying -= 1;
        news
    }

    /// A refused message that may be sent again now; it flies. `alive` tells whether the key is still in flight.
    pub fn next_refused(&mut self, now: Instant, mut alive: impl FnMut(Key) -> bool) -> Option<Key> {
        let share = self.share();
        let mut lanes = self.lanes.iter_mut().flatten();
        let key = lanes.find_map(|lane| lane.next_refused(share, now, &mut alive))?;
        self.flying += 1;
        Some(key)
    }

    /// When to ask `next_refused` again, if no message lands before.
    pub fn rested_at(&self, now: Instant) -> Option<Instant> {
        let resting = self.lanes.iter().flatten().filter(|lane| !lane.refused.is_empty());
        // One that has rested and was not asked has no room; it waits for a landing, not for the time.
        resting
            .filter_map(|lane| lane.rest.as_ref())
            .map(|rest| rest.until)
            .filter(|until| *until > now)
            .min()
    }

    /// Somebody of the lane's service is there and answers. Returns whether that is news.
    pub fn alive(&mut self, id: LaneId) -> bool {
        let most = self.bounds.lane;
        self.get_mut(id).is_some_and(|lane| lane.alive(most))
    }

    /// A message has its outcome: its place in the lane is free, its outcome of so many bytes is to be written.
    pub fn land(&mut self, id: LaneId, bytes: usize, refused: bool, outcome: usize) {
        if let Some(lane) = self.get_mut(id) {
            lane.bytes -= bytes;
            if refused {
                lane.refused_alive -= 1;
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

    /// The names of the lanes whose rows are better read without their bodies now.
    pub fn closed(&self) -> Vec<&str> {
        let lanes = self.lanes.iter().flatten();
        lanes.filter(|lane| !lane.waiting.is_empty() || self.is_tight(lane)).map(|lane| &*lane.name).collect()
    }

    /// Whether so many outcomes are to be written that sending more makes no sense.
    pub fn is_choked(&self) -> bool {
        self.settling >= self.bounds.total / 2
    }

    /// Until when to hold the next read, because a lane in which little or nothing waits has just become tight.
    pub fn hold_reading(&mut self, now: Instant) -> Option<Instant> {
        let mut until: Option<Instant> = None;
        let little = CATCH_UP * self.bounds.page;
        for index in 0..self.lanes.len() {
            let Some(tight) = self.lanes[index].as_ref().map(|lane| self.is_tight(lane)) else { continue };
            let Some(lane) = &mut self.lanes[index] else { continue };
            if !tight && lane.waiting.is_empty() {
                lane.tight_since = None;
            } else if lane.waiting.len() <= little {
                let opens = *lane.tight_since.get_or_insert(now) + PATIENCE;
                if opens > now {
                    until = Some(until.map_or(opens, |until| until.min(opens)));
                }
            }
        }
        let Some(until) = until else {
            self.held_since = None;
            return None;
        };
        // After so long it is not held for as long again, or a lane that opens row by row would slow all others down.
        if self.held_since.is_some_and(|since| now >= since + 2 * LONGEST_HOLD) {
            self.held_since = None;
        }
        let end = *self.held_since.get_or_insert(now) + LONGEST_HOLD;
        (end > now).then(|| until.min(end))
    }

    /// Rows to fetch now: of lanes in which something waits and a good part of the window is free, all lanes in turn.
    pub fn take_fetch(&mut self) -> Vec<(LaneId, Waiting)> {
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
            let backlog = if lane.rest.is_none() { lane.refused_alive } else { 0 };
            let room = lane.room(share).saturating_sub(backlog);
            let enough = lane.enough(share, self.bounds.page).min(lane.waiting.len());
            if lane.waiting.is_empty() || room < enough.max(1) || page == 0 {
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
            lane.fetch(count, |row| rows.push((LaneId(index as u32), row)));
        }
        self.turn = if lanes == 0 { 0 } else { (self.turn + 1) % lanes };
        rows
    }

    fn share(&self) -> Share {
        let free = self.bounds.total.saturating_sub(self.flying + self.handling + self.settling);
        Share { free, own: if self.is_choked() { 0 } else { OWN_SHARE } }
    }

    fn is_tight(&self, lane: &Lane) -> bool {
        let share = self.share();
        let enough = lane.enough(share, self.bounds.page).max(1);
        let held = lane.flying + lane.handling + lane.refused_alive > 0;
        held && (lane.room(share) < enough || lane.bytes + lane.mean >= self.free_bytes().max(OWN_BYTES))
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

#[cfg(test)]
mod tests;
