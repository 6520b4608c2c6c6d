//! The locks of services: tags that only the extension makes (`pg_tpro/src/lock.rs`). None of them is waited for.

use std::collections::BTreeMap;

use super::{row::Service, session::SessionId};

/// The thing that is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockKind {
    /// Held by the leader's session.
    Leader,
    /// Held by the sleeping leader; shared by transactions that are committing a publish.
    Bell,
    /// Held by the session that makes and drops partitions.
    Maintenance,
    /// Held by a session of this living copy.
    Copy(i32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Exclusive, until it is let go or the session ends.
    Session,
    /// Shared, until the transaction ends.
    Transaction,
}

/// A lock's tag.
type Tag = (Service, LockKind);

/// The locks that are held. A prepared transaction holds its locks under a number of its own.
#[derive(Clone, Debug, Default)]
pub struct Locks(BTreeMap<Tag, Vec<(SessionId, Mode)>>);

impl Locks {
    /// Takes the lock for a session, if no other has it in any mode. Taking it again changes nothing.
    pub fn hold(&mut self, tag: Tag, session: SessionId) -> bool {
        let holds = self.0.entry(tag).or_default();
        if holds.iter().any(|(other, _)| *other != session) {
            return false;
        }
        if !holds.contains(&(session, Mode::Session)) {
            holds.push((session, Mode::Session));
        }
        true
    }

    /// Shares the lock until the transaction ends, if no other session has it exclusively.
    pub fn share(&mut self, tag: Tag, session: SessionId) -> bool {
        if self.is_held_elsewhere(tag, session) {
            return false;
        }
        let holds = self.0.entry(tag).or_default();
        if !holds.contains(&(session, Mode::Transaction)) {
            holds.push((session, Mode::Transaction));
        }
        true
    }

    /// True if another session has the lock exclusively.
    pub fn is_held_elsewhere(&self, tag: Tag, session: SessionId) -> bool {
        self.holds(tag).any(|(other, mode)| other != session && mode == Mode::Session)
    }

    /// The session that has the lock exclusively.
    pub fn holder(&self, tag: Tag) -> Option<SessionId> {
        self.holds(tag).find(|(_, mode)| *mode == Mode::Session).map(|(session, _)| session)
    }

    /// Lets the lock go, if this session has it exclusively.
    pub fn let_go(&mut self, tag: Tag, session: SessionId) {
        self.release(|of, holder, mode| of == tag && holder == session && mode == Mode::Session);
    }

    /// The transaction of this session is over.
    pub fn end_transaction(&mut self, session: SessionId) {
        self.release(|_, holder, mode| holder == session && mode == Mode::Transaction);
    }

    /// The session is over.
    pub fn end_session(&mut self, session: SessionId) {
        self.release(|_, holder, _| holder == session);
    }

    /// The transaction is prepared, and keeps what it shares under another number. False if the session has one of these
    /// locks for itself, which PostgreSQL refuses.
    pub fn prepare(&mut self, session: SessionId, prepared: SessionId) -> bool {
        let both = |holds: &Vec<_>| {
            holds.contains(&(session, Mode::Session)) && holds.contains(&(session, Mode::Transaction))
        };
        if self.0.values().any(both) {
            return false;
        }
        for (holder, mode) in self.0.values_mut().flatten() {
            if *holder == session && *mode == Mode::Transaction {
                *holder = prepared;
            }
        }
        true
    }

    /// The bells that this session's transaction shares.
    pub fn shared(&self, session: SessionId) -> Vec<Service> {
        let shares = |holds: &[(SessionId, Mode)]| holds.contains(&(session, Mode::Transaction));
        self.0.iter().filter(|(_, holds)| shares(holds)).map(|((service, _), _)| *service).collect()
    }

    fn holds(&self, tag: Tag) -> impl Iterator<Item = (SessionId, Mode)> {
        self.0.get(&tag).into_iter().flatten().copied()
    }

    fn release(&mut self, is_over: impl Fn(Tag, SessionId, Mode) -> bool) {
        self.0.retain(|tag, holds| {
            holds.retain(|(holder, mode)| !is_over(*tag, *holder, *mode));
            !holds.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BELL: Tag = (Service(0), LockKind::Bell);
    const ONE: SessionId = SessionId(1);
    const TWO: SessionId = SessionId(2);

    #[test]
    fn a_sleeper_and_a_committing_publisher_keep_each_other_out() {
        let mut locks = Locks::default();
        assert!(locks.share(BELL, ONE) && locks.share(BELL, TWO), "publishers share it");
        assert!(!locks.hold(BELL, ONE), "another publisher is committing");
        locks.end_transaction(TWO);
        assert!(locks.hold(BELL, ONE), "its own share is no hindrance");
        assert!(!locks.share(BELL, TWO) && locks.is_held_elsewhere(BELL, TWO));
        assert!(!locks.is_held_elsewhere(BELL, ONE));
        locks.let_go(BELL, TWO);
        assert_eq!(locks.holder(BELL), Some(ONE), "only its holder can let it go");
        locks.let_go(BELL, ONE);
        assert_eq!((locks.holder(BELL), locks.shared(ONE)), (None, vec![Service(0)]));
    }

    #[test]
    fn a_session_takes_all_its_locks_with_it_and_a_prepared_transaction_keeps_its_own() {
        let (mut locks, prepared) = (Locks::default(), SessionId(9));
        assert!(locks.share(BELL, ONE) && locks.prepare(ONE, prepared));
        locks.end_session(ONE);
        assert!(!locks.hold(BELL, TWO), "the prepared transaction has it");
        locks.end_session(prepared);
        assert!(locks.hold(BELL, TWO) && locks.hold((Service(1), LockKind::Leader), TWO));
        assert!(locks.share(BELL, TWO) && !locks.prepare(TWO, prepared), "both modes of one lock");
        locks.end_session(TWO);
        assert_eq!(locks.holder((Service(1), LockKind::Leader)), None);
    }
}
