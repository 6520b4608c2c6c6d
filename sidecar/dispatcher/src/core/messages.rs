//! All messages in flight, the order in which they are sent, and their timers.

use std::{collections::VecDeque, time::Instant};

use tpro_wire::{
    priority::{ByPriority, Priority},
    uid::Uid,
};

use super::{
    in_flight::{InFlight, Key},
    message::Message,
    timers::Timers,
};

/// The messages in flight.
pub struct Messages {
    in_flight: InFlight<Message>,
    /// The messages to be sent, by their priority. Keys of messages that were settled or put off
    /// meanwhile are passed over.
    queues: ByPriority<VecDeque<Key>>,
    timers: Timers,
    /// Reused between turns.
    fired: Vec<Key>,
}

impl Messages {
    /// None yet.
    pub fn new(now: Instant) -> Self {
        Self {
            in_flight: InFlight::default(),
            queues: ByPriority::default(),
            timers: Timers::new(now),
            fired: Vec::new(),
        }
    }

    /// Has a new message sent after the others of its priority. Gives it back when its uid is in
    /// flight already.
    pub fn begin(&mut self, message: Message) -> Option<Message> {
        let queue = self.queues.get_mut(message.lane.priority);
        match self.in_flight.insert(message.row.uid, message) {
            Ok(key) => queue.push_back(key),
            Err(message) => return Some(message),
        }
        None
    }

    /// The message that a reply is for.
    pub fn find(&mut self, uid: &Uid) -> Option<(Key, &mut Message)> {
        let key = self.in_flight.find(uid)?;
        Some((key, self.in_flight.get_mut(key)?))
    }

    /// The message that is kept there.
    pub fn get(&self, key: Key) -> Option<&Message> {
        self.in_flight.get(key)
    }

    /// The message that is kept there, to be changed.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut Message> {
        self.in_flight.get_mut(key)
    }

    /// Takes a message out.
    pub fn remove(&mut self, key: Key) -> Option<Message> {
        let uid = self.in_flight.get(key)?.row.uid;
        self.in_flight.remove(&uid)
    }

    /// Queues a message for another attempt, unless it is queued.
    pub fn send_again(&mut self, key: Key) {
        let Some(message) = self.in_flight.get_mut(key) else { return };
        if message.queue() {
            self.queues.get_mut(message.lane.priority).push_back(key);
        }
    }

    /// The next message to be sent: one of the highest priority there is. None of the others
    /// starves, since a lane lets only so many of each into flight.
    pub fn next_queued(&mut self) -> Option<Key> {
        let in_flight = &self.in_flight;
        let is_queued = |key: &Key| in_flight.get(*key).is_some_and(Message::is_queued);
        Priority::ALL.into_iter().find_map(|priority| {
            let queue = self.queues.get_mut(priority);
            std::iter::from_fn(|| queue.pop_front()).find(is_queued)
        })
    }

    /// True if messages may wait to be sent.
    pub fn has_queued(&self) -> bool {
        self.queues.iter().any(|(_, queue)| !queue.is_empty())
    }

    /// Has a message looked at when it is due, unless it is looked at before anyway.
    pub fn set_timer(&mut self, key: Key) {
        let Some(message) = self.in_flight.get_mut(key) else { return };
        let next = message.question.map_or(message.due, |question| question.min(message.due));
        if message.timer.is_none_or(|timer| timer > next) {
            message.timer = Some(next);
            self.timers.set(next, key);
        }
    }

    /// The messages whose timer has fired; to be given back to [`Self::looked_at`].
    pub fn fired(&mut self, now: Instant) -> Vec<Key> {
        let mut fired = std::mem::take(&mut self.fired);
        self.timers.fire(now, &mut fired);
        fired
    }

    /// Those whose timer has fired were looked at.
    pub fn looked_at(&mut self, mut fired: Vec<Key>) {
        fired.clear();
        self.fired = fired;
    }

    /// When the next timer fires.
    pub fn next_due(&self) -> Option<Instant> {
        self.timers.next_due()
    }

    /// All messages, in no order.
    pub fn keyed(&self) -> impl Iterator<Item = (Key, &Message)> {
        self.in_flight.keyed()
    }

    /// The number of messages.
    pub fn len(&self) -> usize {
        self.in_flight.len()
    }
}
