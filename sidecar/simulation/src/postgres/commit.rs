//! The end of a transaction: COMMIT in its phases, ROLLBACK, PREPARE.
//!
//! The order is PostgreSQL's: the callbacks before the commit (a bell is shared, or it rings), the log, the moment from which
//! others see it, and only then the locks are let go and the listeners are signalled.

use std::sync::Arc;

use tpro_wire::limits::TOLD_AHEAD;

use super::{
    locks::LockKind,
    notify::Note,
    server::Server,
    session::{SessionId, Transaction},
    sqlstate::SqlState,
    statement::Answer,
    wal::Record,
    work::{Blocker, Phase, Work},
    writing::Flow,
    xid::Xid,
};

impl Server {
    /// Goes on with a commit, from this phase on.
    pub(super) fn commit(&mut self, session: SessionId, mut phase: Phase, answer: Answer) -> Flow {
        loop {
            let xid = self.sessions.get(&session).and_then(|session| session.xid());
            match (phase, xid) {
                (Phase::Ringing, _) => {
                    if let Err(blocker) = self.ring(session) {
                        return Flow::Waits(Work::Commit(phase, answer), blocker);
                    }
                    phase = Phase::Logging;
                }
                (Phase::Logging, Some(xid)) => {
                    self.wal.add(Record::Commit(xid));
                    if self.synchronous {
                        self.wal.flush();
                    }
                    phase = Phase::Showing;
                }
                (Phase::Showing, Some(xid)) => {
                    self.transactions.end(xid, true);
                    phase = Phase::Releasing;
                }
                // Without an id there is nothing to log or to show.
                (Phase::Logging | Phase::Showing, None) => phase = Phase::Releasing,
                (Phase::Releasing, _) => {
                    self.release(session);
                    return Flow::ok(answer);
                }
            }
            if self.stepwise && xid.is_some() {
                return Flow::Waits(Work::Commit(phase, answer), Blocker::Nobody);
            }
        }
    }

    /// The callbacks before a commit: shares the bells, or rings, and queues the notifications.
    fn ring(&mut self, id: SessionId) -> Result<(), Blocker> {
        let transaction = self.sessions.get_mut(&id).and_then(|session| session.transaction.as_mut());
        let published = transaction.map(|transaction| std::mem::take(&mut transaction.published));
        for service in published.unwrap_or_default() {
            let bell = (service, LockKind::Bell);
            if !self.locks.share(bell, id) || self.locks.holder(bell) == Some(id) {
                self.notify(id, self.bell_channel(service), "".into());
            }
        }
        self.tell_of_what_is_due(id);
        let Some(session) = self.sessions.get_mut(&id) else { return Ok(()) };
        let Some(transaction) = &mut session.transaction else { return Ok(()) };
        if !transaction.listens.is_empty() && session.channels.is_empty() {
            session.place = self.queue.begin(&self.transactions);
        }
        if transaction.notes.is_empty() {
            return Ok(());
        }
        // A NOTIFY holds a lock of the whole cluster until its transaction is over.
        if self.notifier.is_some_and(|notifier| notifier != id) {
            return Err(Blocker::Notifier);
        }
        self.notifier = Some(id);
        let xid = *transaction.xid.get_or_insert_with(|| self.transactions.begin());
        self.queue.push(xid, std::mem::take(&mut transaction.notes));
        Ok(())
    }

    /// Tells the leaders of the first that is due soon, of what the transaction has published to be sent later.
    fn tell_of_what_is_due(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let soon = session.shown + TOLD_AHEAD;
        let later = session.transaction.as_mut().map(|transaction| std::mem::take(&mut transaction.later));
        for (service, send_at) in later.unwrap_or_default() {
            if send_at <= soon {
                self.notify(id, self.due_channel(service), send_at.micros().to_string().into());
            }
        }
    }

    /// Lets everything go that the transaction had, and signals the listeners if it has notified.
    fn release(&mut self, id: SessionId) {
        self.locks.end_transaction(id);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let listens = session.transaction.take().map(|transaction| transaction.listens);
        session.channels.extend(listens.unwrap_or_default());
        if self.notifier == Some(id) {
            self.notifier = None;
            let listening: Vec<SessionId> =
                self.sessions.iter().filter(|(_, s)| !s.channels.is_empty()).map(|(id, _)| *id).collect();
            for listener in listening {
                if let Some(session) = self.sessions.get_mut(&listener) {
                    session.signalled = true;
                }
                self.hear(listener);
            }
        }
    }

    /// Adds a notification to the session's transaction; twice the same is once.
    pub(super) fn notify(&mut self, id: SessionId, channel: Arc<str>, payload: Arc<str>) {
        let transaction = self.sessions.get_mut(&id).and_then(|session| session.transaction.as_mut());
        let note = Note { channel, payload };
        if let Some(transaction) = transaction.filter(|transaction| !transaction.notes.contains(&note)) {
            transaction.notes.push(note);
        }
    }

    /// Rolls the session's transaction back. One that BEGIN has begun stays as a failed one until its ROLLBACK, if it `failed`.
    pub(super) fn abort(&mut self, id: SessionId, failed: bool) {
        self.locks.end_transaction(id);
        if self.notifier == Some(id) {
            self.notifier = None;
        }
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(transaction) = session.transaction.take() else { return };
        if failed && transaction.explicit {
            session.transaction =
                Some(Transaction { explicit: true, failed: true, ..Transaction::default() });
        }
        if let Some(xid) = transaction.xid {
            self.end_prepared(xid, false);
        }
    }

    /// PREPARE TRANSACTION. The transaction shares the bells of what it has published, and keeps them.
    pub(super) fn prepare(&mut self, id: SessionId, name: Arc<str>) -> Result<Answer, SqlState> {
        let transaction = self.sessions.get_mut(&id).and_then(|session| session.transaction.as_mut());
        let Some(transaction) = transaction.filter(|transaction| !transaction.failed) else {
            self.abort(id, false);
            return Ok(Answer::RolledBack);
        };
        for service in std::mem::take(&mut transaction.published) {
            self.locks.share((service, LockKind::Bell), id);
        }
        let notifies = !transaction.notes.is_empty() || !transaction.listens.is_empty();
        // It has its id before it is refused.
        let xid = self.xid(id)?;
        let refused = if self.prepared.contains_key(&name) {
            Some(SqlState::DUPLICATE)
        } else {
            notifies.then_some(SqlState::NOT_SUPPORTED)
        };
        if let Some(state) = refused {
            self.abort(id, false);
            return Err(state);
        }
        let shared = self.locks.shared(id);
        let holder = SessionId(self.next_session);
        self.next_session += 1;
        if !self.locks.prepare(id, holder) {
            self.abort(id, false);
            return Err(SqlState::NOT_SUPPORTED);
        }
        self.wal.add(Record::Prepare(xid, name.clone(), shared));
        self.wal.flush();
        self.prepared.insert(name, (xid, holder));
        if let Some(session) = self.sessions.get_mut(&id) {
            session.transaction = None;
        }
        Ok(Answer::Done)
    }

    /// COMMIT PREPARED and ROLLBACK PREPARED.
    pub(super) fn finish_prepared(&mut self, name: &str, commit: bool) -> Result<Answer, SqlState> {
        let (xid, holder) = self.prepared.remove(name).ok_or(SqlState::UNDEFINED)?;
        self.end_prepared(xid, commit);
        self.wal.flush();
        self.locks.end_session(holder);
        Ok(Answer::Done)
    }

    fn end_prepared(&mut self, xid: Xid, commit: bool) {
        self.wal.add(if commit { Record::Commit(xid) } else { Record::Abort(xid) });
        self.transactions.end(xid, commit);
    }
}
