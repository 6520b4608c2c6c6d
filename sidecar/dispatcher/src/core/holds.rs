//! Ordering keys that are held, as the table `mq_hold` says.
//!
//! A message may ask for it (`headers.ordering.on_error`): when it fails, the transaction that
//! writes its reply writes a row here, too. The table is the truth, since a leader before may have
//! written that reply, or be writing it still. So two things are asked of it:
//!
//! - All of it, when the first messages with a key are to be given out, and again when somebody may
//!   have let a key go: a notification says so, and after a lost one the next heartbeat.
//! - Whether a certain message holds its key, when it is settled and may do so. Until the answer
//!   comes, its chain is in doubt and gives nothing out.
//!
//! A row names a message of its key that may be sent all the same: the one that failed, which is
//! settled, or a copy of it that an operator has made. The rows of a key go together, so the answer
//! for one of them says if the key is held. When a copy ends well, it is asked for all that are
//! known.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

/// Rows of a page.
pub const PAGE: usize = 5_000;

/// Rows of `mq_hold` to be read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// Those of these messages, which are in order.
    Of(Vec<i64>),
    /// A page of all, behind this id.
    Behind(i64),
}

/// A row of `mq_hold`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The message that may be sent.
    pub id: i64,
    /// The lane of its key, `space.service`.
    pub lane: Arc<str>,
    /// The key.
    pub key: Box<str>,
}

/// The messages that a chain may give out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State<'a> {
    /// Its first message.
    Free,
    /// Nothing before the table is read.
    Doubted,
    /// These messages only.
    Held(&'a [i64]),
}

/// A look through all holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Look {
    /// None is due.
    Idle,
    /// One is due.
    Wanted,
    /// It has come behind this id. `again`: the table may have changed since it began.
    Under { behind: i64, again: bool },
}

/// The holds of a leader. A chain is known by the hash of its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holds {
    /// The table has been read.
    is_known: bool,
    by_id: BTreeMap<i64, u64>,
    by_chain: BTreeMap<u64, Vec<i64>>,
    /// Chains, and settled messages that may hold them.
    doubted: BTreeSet<(u64, i64)>,
    /// A statement is under way.
    is_asking: bool,
    look: Look,
    /// Doubted messages were asked for last. A look goes before more of them: under load there are
    /// always some, and a key that was let go would stay held.
    looks_first: bool,
}

impl Default for Holds {
    fn default() -> Self {
        Self {
            is_known: false,
            by_id: BTreeMap::new(),
            by_chain: BTreeMap::new(),
            doubted: BTreeSet::new(),
            is_asking: false,
            look: Look::Wanted,
            looks_first: false,
        }
    }
}

impl Holds {
    /// A message of this chain is settled, and may hold it.
    pub fn doubt(&mut self, id: i64, chain: u64) {
        self.doubted.insert((chain, id));
    }

    /// Somebody may have let a key go.
    pub fn rung(&mut self) {
        match &mut self.look {
            Look::Under { again, .. } => *again = true,
            // The answer that is under way may show the table of before.
            look if self.is_asking || !self.by_id.is_empty() => *look = Look::Wanted,
            _ => {}
        }
    }

    /// The rows to read next. `may_look`: a look through all may begin.
    pub fn ask(&mut self, may_look: bool) -> Option<Asked> {
        if self.is_asking {
            return None;
        }
        let looks = matches!(self.look, Look::Under { .. }) || (self.look == Look::Wanted && may_look);
        let of_doubted = !(self.doubted.is_empty() || self.looks_first && looks);
        self.looks_first = of_doubted;
        let asked = match self.look {
            _ if of_doubted => {
                let doubted = self.doubted.iter().take(PAGE);
                let held = |chain: &u64| self.by_chain.get(chain).into_iter().flatten().copied();
                let mut ids: Vec<i64> = doubted.flat_map(|(chain, id)| held(chain).chain([*id])).collect();
                ids.sort_unstable();
                ids.dedup();
                Asked::Of(ids)
            }
            Look::Under { behind, .. } => Asked::Behind(behind),
            Look::Wanted if may_look => {
                self.look = Look::Under { behind: i64::MIN, again: false };
                Asked::Behind(i64::MIN)
            }
            Look::Wanted | Look::Idle => return None,
        };
        self.is_asking = true;
        Some(asked)
    }

    /// These rows were read, in the order of ids; `name` gives the chain of a hold. Returns the
    /// chains that may give out something else than before.
    pub fn read(&mut self, asked: &Asked, rows: &[Hold], name: impl Fn(&Hold) -> u64) -> Vec<u64> {
        self.is_asking = false;
        let has = |id: &i64| rows.binary_search_by_key(id, |row| row.id).is_ok();
        let mut changed = Vec::new();
        match asked {
            Asked::Of(ids) => {
                self.doubted.retain(|(chain, id)| {
                    let is_answered = ids.binary_search(id).is_ok();
                    changed.extend(is_answered.then_some(*chain));
                    !is_answered
                });
                ids.iter().filter(|id| !has(id)).for_each(|id| changed.extend(self.remove(*id)));
            }
            Asked::Behind(behind) => {
                let last = rows.last().filter(|_| rows.len() >= PAGE).map(|row| row.id);
                let until = last.map_or(Bound::Unbounded, Bound::Included);
                let known = self.by_id.range((Bound::Excluded(*behind), until)).map(|(id, _)| *id);
                let gone: Vec<i64> = known.filter(|id| !has(id)).collect();
                gone.into_iter().for_each(|id| changed.extend(self.remove(id)));
                self.look = match (last, self.look) {
                    (Some(behind), Look::Under { again, .. }) => Look::Under { behind, again },
                    (None, Look::Under { again: true, .. }) => Look::Wanted,
                    _ => Look::Idle,
                };
                self.is_known |= last.is_none();
            }
        }
        for row in rows {
            let chain = name(row);
            if self.by_id.insert(row.id, chain).is_none() {
                self.by_chain.entry(chain).or_default().push(row.id);
                changed.push(chain);
            }
        }
        changed
    }

    fn remove(&mut self, id: i64) -> Option<u64> {
        let chain = self.by_id.remove(&id)?;
        if let Some(ids) = self.by_chain.get_mut(&chain) {
            ids.retain(|held| *held != id);
            if ids.is_empty() {
                self.by_chain.remove(&chain);
            }
        }
        Some(chain)
    }

    /// The messages that a chain may give out.
    pub fn state(&self, chain: u64) -> State<'_> {
        if !self.is_known || self.doubted.range((chain, i64::MIN)..=(chain, i64::MAX)).next().is_some() {
            return State::Doubted;
        }
        self.by_chain.get(&chain).map_or(State::Free, |ids| State::Held(ids))
    }

    /// The number of keys that are held.
    pub fn keys(&self) -> usize {
        self.by_chain.len()
    }

    /// True if this message may be sent though its key is held.
    pub fn is_let_through(&self, id: i64) -> bool {
        self.by_id.contains_key(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(id: i64, key: &str) -> Hold {
        Hold { id, lane: "tpro.co".into(), key: key.into() }
    }

    /// The key itself is the number of the chain.
    fn name(hold: &Hold) -> u64 {
        hold.key.parse().expect("is a number")
    }

    fn read(holds: &mut Holds, rows: &[Hold]) -> Vec<u64> {
        let asked = holds.ask(true).expect("asks");
        holds.read(&asked, rows, name)
    }

    #[test]
    fn nothing_is_free_before_the_table_is_read_and_what_stands_there_is_held() {
        let mut holds = Holds::default();
        assert_eq!(holds.state(1), State::Doubted);
        assert_eq!(holds.ask(false), None, "nobody needs it yet");
        assert_eq!(read(&mut holds, &[hold(7, "1")]), [1]);
        assert_eq!((holds.state(1), holds.state(2)), (State::Held(&[7]), State::Free));
        assert!(holds.is_let_through(7) && !holds.is_let_through(8));
        assert_eq!(holds.ask(true), None, "all is known");
    }

    #[test]
    fn a_message_that_may_hold_leaves_its_chain_in_doubt_until_the_answer_comes() {
        let mut holds = Holds::default();
        read(&mut holds, &[]);
        holds.doubt(7, 1);
        holds.doubt(5, 2);
        assert_eq!(
            (holds.state(1), holds.state(2), holds.state(3)),
            (State::Doubted, State::Doubted, State::Free)
        );
        let asked = holds.ask(true).expect("asks");
        assert_eq!(asked, Asked::Of(vec![5, 7]));
        holds.doubt(9, 2);
        assert_eq!(holds.ask(true), None, "one statement at a time");
        holds.read(&asked, &[hold(7, "1")], name);
        assert_eq!((holds.state(1), holds.state(2)), (State::Held(&[7]), State::Doubted));
        assert_eq!(read(&mut holds, &[]), [2]);
        assert_eq!(holds.state(2), State::Free);
    }

    #[test]
    fn a_look_is_not_put_off_for_good_by_messages_that_may_hold() {
        let mut holds = Holds::default();
        read(&mut holds, &[hold(7, "1")]);
        holds.rung();
        holds.doubt(8, 2);
        let asked = holds.ask(true).expect("asks");
        assert_eq!(asked, Asked::Of(vec![8]));
        holds.doubt(9, 3);
        holds.read(&asked, &[], name);
        assert_eq!(read(&mut holds, &[]), [1], "the look comes first");
        assert_eq!(holds.ask(true), Some(Asked::Of(vec![9])));
    }

    #[test]
    fn a_look_finds_what_was_let_go_and_what_took_its_place() {
        let mut holds = Holds::default();
        holds.rung();
        read(&mut holds, &[hold(7, "1"), hold(8, "2")]);
        holds.rung();
        let mut changed = read(&mut holds, &[hold(8, "2"), hold(20, "1")]);
        changed.dedup();
        assert_eq!(changed, [1]);
        assert_eq!(holds.state(1), State::Held(&[20]));
        holds.rung();
        assert_eq!(read(&mut holds, &[]).len(), 2);
        assert_eq!((holds.state(1), holds.state(2)), (State::Free, State::Free));
        holds.rung();
        assert_eq!(holds.ask(true), None, "nothing is held");
    }

    #[test]
    fn a_look_goes_page_by_page_and_once_more_if_somebody_rings_meanwhile() {
        let mut holds = Holds::default();
        let all: Vec<Hold> = (1..=PAGE as i64 + 1).map(|id| hold(id, "1")).collect();
        let asked = holds.ask(true).expect("asks");
        holds.read(&asked, &all[..PAGE], name);
        assert_eq!(holds.state(2), State::Doubted, "the rest is not known");
        assert_eq!(holds.ask(true), Some(Asked::Behind(PAGE as i64)));
        holds.rung();
        holds.read(&Asked::Behind(PAGE as i64), &all[PAGE..], name);
        assert_eq!(holds.state(2), State::Free);
        // Of a full page only what it could show is gone.
        let asked = holds.ask(true).expect("looks again");
        assert_eq!(asked, Asked::Behind(i64::MIN));
        holds.read(&asked, &all[1..], name);
        assert!(!holds.is_let_through(1) && holds.is_let_through(PAGE as i64 + 1));
    }
}
