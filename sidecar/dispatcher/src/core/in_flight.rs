//! The messages that were taken from the outbox and await their outcome, found by uid (replies) and
//! by key (timers).

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;
use tpro_wire::uid::Uid;

/// Where a message is kept. The turn tells two messages apart that were kept in the same slot one
/// after the other, so that a late timer of the first does not touch the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub(super) slot: u32,
    pub(super) turn: u32,
}

struct Slot<T> {
    turn: u32,
    message: Option<T>,
}

/// The messages in flight.
pub struct InFlight<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    /// Uids come from our own outbox and are random; nobody can choose them to collide.
    by_uid: FxHashMap<Uid, Key>,
}

impl<T> Default for InFlight<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), by_uid: FxHashMap::default() }
    }
}

impl<T> InFlight<T> {
    /// Keeps a message; gives it back when its uid is in flight already.
    pub fn insert(&mut self, uid: Uid, message: T) -> Result<Key, T> {
        let Entry::Vacant(entry) = self.by_uid.entry(uid) else { return Err(message) };
        let key = match self.free.pop() {
            Some(slot) => {
                let kept = &mut self.slots[slot as usize];
                kept.message = Some(message);
                Key { slot, turn: kept.turn }
            }
            None => {
                self.slots.push(Slot { turn: 0, message: Some(message) });
                Key { slot: (self.slots.len() - 1) as u32, turn: 0 }
            }
        };
        Ok(*entry.insert(key))
    }

    pub fn find(&self, uid: &Uid) -> Option<Key> {
        self.by_uid.get(uid).copied()
    }

    pub fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.get(key.slot as usize)?;
        slot.message.as_ref().filter(|_| slot.turn == key.turn)
    }

    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.slot as usize)?;
        slot.message.as_mut().filter(|_| slot.turn == key.turn)
    }

    /// All messages and where they are kept.
    pub fn keyed(&self) -> impl Iterator<Item = (Key, &T)> {
        self.slots.iter().enumerate().filter_map(|(slot, kept)| {
            Some((Key { slot: slot as u32, turn: kept.turn }, kept.message.as_ref()?))
        })
    }

    /// Takes a message out; the key is never valid again.
    pub fn remove(&mut self, uid: &Uid) -> Option<T> {
        let key = self.by_uid.remove(uid)?;
        let slot = &mut self.slots[key.slot as usize];
        slot.turn = slot.turn.wrapping_add(1);
        self.free.push(key.slot);
        slot.message.take()
    }

    pub fn len(&self) -> usize {
        self.by_uid.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(n: u8) -> Uid {
        Uid::v7(1_700_000_000_000, [n; 10])
    }

    #[test]
    fn a_uid_is_in_flight_once() {
        let mut in_flight = InFlight::default();
        let key = in_flight.insert(uid(1), "a").expect("is new");
        assert_eq!(in_flight.insert(uid(1), "b"), Err("b"));
        assert_eq!(in_flight.find(&uid(1)), Some(key));
        assert_eq!(in_flight.get_mut(key), Some(&mut "a"));
        assert_eq!(in_flight.len(), 1);
    }

    #[test]
    fn a_key_of_a_message_that_is_gone_does_not_find_the_next_one_in_its_place() {
        let mut in_flight = InFlight::default();
        let first = in_flight.insert(uid(1), "a").expect("is new");
        assert_eq!(in_flight.remove(&uid(1)), Some("a"));
        let second = in_flight.insert(uid(2), "b").expect("is new");
        assert_eq!(first.slot, second.slot);
        assert_eq!(in_flight.get_mut(first), None);
        assert_eq!(in_flight.get(first), None);
        assert_eq!(in_flight.get_mut(second), Some(&mut "b"));
        assert_eq!(in_flight.remove(&uid(1)), None);
        assert_eq!(in_flight.len(), 1);
        assert!(in_flight.keyed().map(|(_, kept)| kept).eq([&"b"]));
    }
}
