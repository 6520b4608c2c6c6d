//! Messages with an ordering key: each is sent when the one before it is settled.
//!
//! The messages of one target service with one key are a chain, in the order of their ids. An id is
//! drawn within its transaction, so a message that is committed before another is inserted has the
//! lesser id. Pages come in the order of transactions, which may be another order. So a chain gives
//! nothing out before all that is visible has been read: then its least id is the first one.
//!
//! A message is at work from the moment it is given out until its reply is committed. A leader that
//! takes over finds it without a reply, and gives it out before those behind it.
//!
//! A message that has failed may hold its key ([`super::holds`]): then nothing behind it is given
//! out, but for a copy of it that an operator has made.
//!
//! A chain is known by a hash, since there may be millions of keys. Two chains with the same hash
//! would wait for each other, and do no other harm.

use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
    sync::Arc,
};

use tpro_wire::priority::Priority;

use super::{
    holds::{Asked, Hold, Holds, State},
    lane::Waiting,
};

/// A message that may be sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Its lane, `space.service`.
    pub lane: Arc<str>,
    /// Its priority there.
    pub priority: Priority,
    /// The row.
    pub row: Waiting,
}

/// One chain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Chain {
    lane: Arc<str>,
    /// The message that is given out and not settled.
    at_work: Option<i64>,
    /// Those behind it, by their ids; and whether they may have run already.
    waiting: BTreeMap<i64, (bool, Priority)>,
}

/// All chains that have a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Chains {
    chains: BTreeMap<u64, Chain>,
    /// The chains of the messages at work.
    at_work: BTreeMap<i64, u64>,
    /// Chains that may give out a message as soon as all that is visible is read.
    free: Vec<u64>,
    waiting: usize,
    holds: Holds,
}

impl Chains {
    /// A message with this key was read.
    pub fn read(&mut self, lane: &Arc<str>, key: &str, priority: Priority, row: Waiting) {
        let name = hash(lane, key);
        let chain = self.chains.entry(name).or_insert_with(|| Chain {
            lane: lane.clone(),
            at_work: None,
            waiting: BTreeMap::new(),
        });
        if chain.at_work.is_none() && (chain.waiting.is_empty() || self.holds.is_let_through(row.id())) {
            self.free.push(name);
        }
        if chain.waiting.insert(row.id(), (row.may_have_run(), priority)).is_none() {
            self.waiting += 1;
        }
    }

    /// A message is settled, or gone, and does not hold its key. The one behind it may be given
    /// out.
    pub fn settled(&mut self, id: i64) {
        self.end(id);
    }

    /// A message is settled, and may hold its key: it asks for that, or others have settled it.
    pub fn settled_in_doubt(&mut self, id: i64) {
        if let Some(name) = self.end(id) {
            self.holds.doubt(id, name);
        }
    }

    /// A message with this key was read that others have settled.
    pub fn read_settled(&mut self, lane: &str, key: &str, id: i64) {
        self.holds.doubt(id, hash(lane, key));
    }

    /// The message is no more at work. Returns its chain, if it was.
    fn end(&mut self, id: i64) -> Option<u64> {
        let name = self.at_work.remove(&id)?;
        let chain = self.chains.get_mut(&name)?;
        chain.at_work = None;
        if chain.waiting.is_empty() {
            self.chains.remove(&name);
        } else {
            self.free.push(name);
        }
        Some(name)
    }

    /// Somebody may have let a key go.
    pub fn rung(&mut self) {
        self.holds.rung();
    }

    /// The holds to read next. `is_all_read`: all that is visible has been read.
    pub fn ask(&mut self, is_all_read: bool) -> Option<Asked> {
        // All holds are looked at for the first time after the recovery, so that a leader before
        // adds none that is not seen.
        self.holds.ask(is_all_read && (self.are_free() || !self.at_work.is_empty() || self.waiting > 0))
    }

    /// Holds were read, in the order of their ids.
    pub fn asked(&mut self, asked: &Asked, rows: &[Hold]) {
        let changed = self.holds.read(asked, rows, |hold| hash(&hold.lane, &hold.key));
        let idle = |name: &u64| {
            self.chains.get(name).is_some_and(|chain| chain.at_work.is_none() && !chain.waiting.is_empty())
        };
        self.free.extend(changed.into_iter().filter(idle));
    }

    /// The number of keys that are held, as far as is known.
    pub fn held(&self) -> usize {
        self.holds.keys()
    }

    /// True if a chain may give out a message.
    pub fn are_free(&self) -> bool {
        !self.free.is_empty()
    }

    /// The first message of each free chain, which is at work from now on. To be called when all
    /// that is visible has been read.
    pub fn give_out(&mut self) -> Vec<Given> {
        let mut given = Vec::new();
        for name in std::mem::take(&mut self.free) {
            // Its name may stand here twice: of a chain that was dropped, and of the next one.
            let Some(chain) = self.chains.get_mut(&name).filter(|chain| chain.at_work.is_none()) else {
                continue;
            };
            let next = match self.holds.state(name) {
                State::Doubted => {
                    self.free.push(name);
                    continue;
                }
                State::Free => chain.waiting.pop_first(),
                State::Held(through) => through.iter().find_map(|id| chain.waiting.remove_entry(id)),
            };
            let Some((id, (may_have_run, priority))) = next else { continue };
            chain.at_work = Some(id);
            self.at_work.insert(id, name);
            self.waiting -= 1;
            given.push(Given { lane: chain.lane.clone(), priority, row: Waiting::new(id, may_have_run) });
        }
        given
    }

    /// Drops those that wait and are not to be kept; how many they were.
    pub fn forget_waiting(&mut self, keep: impl Fn(i64) -> bool) -> usize {
        let before = self.waiting;
        self.chains.retain(|name, chain| {
            let all = chain.waiting.len();
            chain.waiting.retain(|id, _| {
                let stays = keep(*id);
                if !stays {
                    self.holds.doubt(*id, *name);
                }
                stays
            });
            self.waiting -= all - chain.waiting.len();
            chain.at_work.is_some() || !chain.waiting.is_empty()
        });
        before - self.waiting
    }

    /// Messages that wait for the one before them.
    pub fn waiting(&self) -> usize {
        self.waiting
    }
}

fn hash(lane: &str, key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (lane, key).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chains: &mut Chains, key: &str, id: i64) {
        chains.read(&"tpro.co".into(), key, Priority::default(), Waiting::new(id, false));
    }

    /// The messages that are given out next. No key is held.
    fn given(chains: &mut Chains) -> Vec<i64> {
        give_out(chains).iter().map(|given| given.row.id()).collect()
    }

    fn give_out(chains: &mut Chains) -> Vec<Given> {
        while let Some(asked) = chains.ask(true) {
            chains.asked(&asked, &[]);
        }
        chains.give_out()
    }

    #[test]
    fn the_least_id_goes_first_in_whatever_order_they_are_read() {
        let mut chains = Chains::default();
        for id in [7, 3, 5] {
            read(&mut chains, "a", id);
        }
        read(&mut chains, "b", 4);
        assert_eq!(given(&mut chains), [3, 4]);
        assert_eq!((given(&mut chains), chains.waiting()), (vec![], 2));
        chains.settled(3);
        assert_eq!(given(&mut chains), [5]);
    }

    #[test]
    fn one_that_is_read_late_waits_for_the_one_at_work_and_goes_before_the_others() {
        let mut chains = Chains::default();
        read(&mut chains, "a", 5);
        read(&mut chains, "a", 6);
        assert_eq!(given(&mut chains), [5]);
        read(&mut chains, "a", 2);
        assert!(!chains.are_free());
        assert!(given(&mut chains).is_empty());
        chains.settled(5);
        assert_eq!(given(&mut chains), [2]);
    }

    #[test]
    fn what_others_settle_while_it_waits_can_be_dropped_and_nothing_is_left_behind() {
        let mut chains = Chains::default();
        for id in 1..=4 {
            read(&mut chains, "a", id);
        }
        read(&mut chains, "b", 9);
        assert_eq!(chains.forget_waiting(|id| id != 9), 1);
        assert_eq!(given(&mut chains), [1]);
        assert_eq!((chains.forget_waiting(|id| id == 3), chains.waiting()), (2, 1));
        chains.settled(2);
        assert!(!chains.are_free(), "it was not at work");
        chains.settled(1);
        assert_eq!(given(&mut chains), [3]);
        chains.settled(3);
        chains.settled(3);
        assert!(chains.chains.is_empty() && chains.at_work.is_empty() && chains.waiting() == 0);
    }

    #[test]
    fn a_chain_that_was_forgotten_and_begins_again_gives_out_one_at_a_time() {
        let mut chains = Chains::default();
        read(&mut chains, "a", 1);
        chains.forget_waiting(|_| false);
        read(&mut chains, "a", 2);
        read(&mut chains, "a", 3);
        assert_eq!(given(&mut chains), [2]);
        assert!(given(&mut chains).is_empty());
    }

    #[test]
    fn keys_of_different_services_are_different_chains() {
        let mut chains = Chains::default();
        read(&mut chains, "a", 1);
        chains.read(&"tpro.other".into(), "a", Priority::default(), Waiting::new(2, true));
        let mut out = give_out(&mut chains);
        out.sort_by_key(|given| given.row.id());
        assert_eq!(
            out.iter().map(|given| (&*given.lane, given.row)).collect::<Vec<_>>(),
            [("tpro.co", Waiting::new(1, false)), ("tpro.other", Waiting::new(2, true))]
        );
    }
}
