//! The server: its sessions, its tables, and the times at which something is to be done.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    heap::Heap,
    locks::Locks,
    notify::{Note, Queue},
    row::{Backlog, Callbacks, Cursor, Key, Reply, Row, Service, Table},
    sequence::Sequence,
    session::{Session, SessionId},
    snapshot::Snapshot,
    transactions::{Transactions, View},
    wal::{Record, Wal},
    work::Blocker,
    xid::Xid,
};
use crate::time::Time;

/// PostgreSQL's `deadlock_timeout`.
pub(super) const DEADLOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// A server.
#[derive(Clone, Debug)]
pub struct Server {
    /// The schemas of the services, such as `main_service`.
    pub(super) schemas: Vec<Arc<str>>,
    pub(super) timeline: u32,
    /// The start of its postmaster.
    pub(super) started: Time,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) next_session: u32,
    pub(super) transactions: Transactions,
    pub(super) heap: Heap,
    pub(super) sequences: Vec<Sequence>,
    pub(super) locks: Locks,
    pub(super) queue: Queue,
    /// The session that commits notifications, of which there is one at a time.
    pub(super) notifier: Option<SessionId>,
    pub(super) prepared: BTreeMap<Arc<str>, (Xid, SessionId)>,
    pub(super) wal: Wal,
    /// A commit pauses before each of its phases, and goes on when it is resumed.
    pub(super) stepwise: bool,
    /// A commit is on the disk before it is visible.
    pub(super) synchronous: bool,
    /// It is a standby.
    pub(super) in_recovery: bool,
    /// Its disk has no room for rows.
    pub(super) full: bool,
    /// Microseconds by which its host's clock is ahead of the time that passes.
    pub(super) ahead: i64,
}

impl Server {
    /// A server with these services and nothing in their tables.
    pub fn new(services: &[&str]) -> Self {
        let mut server = Self {
            schemas: services.iter().map(|service| format!("{service}_service").into()).collect(),
            timeline: 1,
            started: Time::START,
            sessions: BTreeMap::new(),
            next_session: 1,
            transactions: Transactions::default(),
            heap: Heap::default(),
            sequences: services.iter().map(|_| Sequence::default()).collect(),
            locks: Locks::default(),
            queue: Queue::default(),
            notifier: None,
            prepared: BTreeMap::new(),
            wal: Wal::default(),
            stepwise: false,
            synchronous: true,
            in_recovery: false,
            full: false,
            ahead: 0,
        };
        let xid = server.transactions.begin();
        for service in (0..services.len()).map(Service) {
            let cursor = Cursor { snapshot: Snapshot::at(Xid(1)), pending: Vec::new(), clean: true };
            server.write(service, xid, Row::Cursor(cursor));
            server.write(service, xid, Row::Backlog(Backlog::default()));
            server.write(service, xid, Row::Callbacks(Callbacks::default()));
        }
        server.wal.add(Record::Commit(xid));
        server.wal.flush();
        server.transactions.end(xid, true);
        server
    }

    /// Has commits pause before each of their phases, so that they become visible in the order of [`Server::resume`].
    pub fn pause_commits(&mut self, pause: bool) {
        self.stepwise = pause;
    }

    /// Whether a commit is on the disk before it is visible: `synchronous_commit`.
    pub fn commit_synchronously(&mut self, synchronous: bool) {
        self.synchronous = synchronous;
    }

    /// Has its disk be full, or have room again.
    pub fn fill_disk(&mut self, full: bool) {
        self.full = full;
    }

    /// Sets the clock of its host, which is ahead by so many microseconds of the time that passes.
    pub fn set_clock(&mut self, ahead: i64) {
        self.ahead = ahead;
    }

    /// Its timeline, and the start of its postmaster, for those who look at the server from outside.
    pub fn identity(&self) -> (u32, Time) {
        (self.timeline, self.started)
    }

    /// The time by the clock of its host: what `clock_timestamp()` says. Timeouts do not go by it.
    pub fn clock(&self, now: Time) -> Time {
        Time::of_micros(now.micros().saturating_add_signed(self.ahead))
    }

    /// Opens a session.
    pub fn connect(&mut self, now: Time) -> SessionId {
        let id = SessionId(self.next_session);
        self.next_session += 1;
        self.sessions.insert(id, Session::new(now, self.clock(now)));
        id
    }

    /// Sets the timeouts of a session: of locks, of statements, of standing idle in a transaction.
    pub fn set_timeouts(
        &mut self,
        session: SessionId,
        lock: Option<Duration>,
        statement: Option<Duration>,
        idle: Option<Duration>,
    ) {
        if let Some(session) = self.sessions.get_mut(&session) {
            (session.lock_timeout, session.statement_timeout, session.idle_timeout) = (lock, statement, idle);
        }
    }

    /// True as long as the session lasts.
    pub fn is_open(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    /// The sessions.
    pub fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.sessions.keys().copied()
    }

    /// True if the session's statement waits.
    pub fn is_waiting(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_some_and(|session| session.waiting.is_some())
    }

    /// True if the session is in a transaction that BEGIN has begun.
    pub fn is_in_transaction(&self, session: SessionId) -> bool {
        let transaction = self.sessions.get(&session).and_then(|session| session.transaction.as_ref());
        transaction.is_some_and(|transaction| transaction.explicit)
    }

    /// Notifications that were sent to the client of this session, which takes them.
    pub fn take_notes(&mut self, session: SessionId) -> Vec<Note> {
        self.sessions.get_mut(&session).map(|session| std::mem::take(&mut session.notes)).unwrap_or_default()
    }

    /// The next moment at which a session has waited, or stood idle, for long enough.
    pub fn due(&self) -> Option<Time> {
        self.sessions.values().filter(|session| !session.frozen).filter_map(due).min()
    }

    /// The sessions that can go on: their reason to wait is gone, or their time is over, or they are terminated.
    pub fn ready(&self, now: Time) -> Vec<SessionId> {
        let ready = |(id, session): &(&SessionId, &Session)| self.is_ready(**id, session, now);
        self.sessions.iter().filter(ready).map(|(id, _)| *id).collect()
    }

    /// The next moment at which this session has waited, or stood idle, for long enough.
    pub fn due_of(&self, session: SessionId) -> Option<Time> {
        self.sessions.get(&session).filter(|session| !session.frozen).and_then(due)
    }

    /// True if this session can go on: as [`Server::ready`] has it.
    pub fn can_go_on(&self, id: SessionId, now: Time) -> bool {
        self.sessions.get(&id).is_some_and(|session| self.is_ready(id, session, now))
    }

    fn is_ready(&self, id: SessionId, session: &Session, now: Time) -> bool {
        let goes_on = |waiting: &super::work::Waiting| session.terminated || !self.blocks(waiting.on, id);
        let is_due = due(session).is_some_and(|due| due <= now);
        !session.frozen && (is_due || session.waiting.as_ref().is_some_and(goes_on))
    }

    /// The snapshot of this moment, for those who look at the server from outside.
    pub fn snapshot(&self) -> Snapshot {
        self.transactions.snapshot(None)
    }

    /// The committed rows of a service's tables, for those who look at the server from outside: messages, replies, uids of
    /// effects.
    pub fn rows(&self, service: Service, table: super::row::Table) -> Vec<Row> {
        let snapshot = self.snapshot();
        let view = View { transactions: &self.transactions, snapshot: &snapshot, own: None };
        self.heap.scan(service, table, view).map(|(_, row)| row.clone()).collect()
    }

    /// The committed row of a key, for those who look at the server from outside.
    pub(super) fn row(&self, key: Key) -> Option<&Row> {
        let snapshot = self.snapshot();
        self.heap.get(&key, View { transactions: &self.transactions, snapshot: &snapshot, own: None })
    }

    /// True if a message of this id and uid is committed, to be sent now or later.
    pub fn is_published(&self, service: Service, id: i64, uid: u128) -> bool {
        let row = |table| self.row(Key { service, table, uid: 0, number: id });
        matches!(row(Table::Publish), Some(Row::Publish(message)) if message.uid == uid)
            || matches!(row(Table::Later), Some(Row::Later(later)) if later.message.uid == uid)
    }

    /// The committed reply of a message.
    pub fn reply_of(&self, service: Service, id: i64) -> Option<Reply> {
        match self.row(Key { service, table: Table::Reply, uid: 0, number: id })? {
            Row::Reply(reply) => Some(reply.clone()),
            _ => None,
        }
    }

    /// The committed outcome of a message in the inbox of a service.
    pub fn stored(&self, service: Service, uid: u128) -> Option<Arc<str>> {
        match self.row(Key { service, table: Table::Outcome, uid, number: 0 })? {
            Row::Outcome(outcome) => Some(outcome.answer.clone()),
            _ => None,
        }
    }

    /// The session that leads a service.
    pub fn leader(&self, service: Service) -> Option<SessionId> {
        self.locks.holder((service, super::locks::LockKind::Leader))
    }

    /// Whether the reason to wait is still there.
    pub(super) fn blocks(&self, on: Blocker, session: SessionId) -> bool {
        match on {
            Blocker::Transaction(xid) => self.transactions.state(xid) == super::transactions::State::Running,
            Blocker::Notifier => self.notifier.is_some_and(|notifier| notifier != session),
            Blocker::Nobody => false,
        }
    }

    /// Writes a version of a row.
    pub(super) fn write(&mut self, service: Service, xid: Xid, row: Row) -> Arc<Row> {
        let row = Arc::new(row);
        self.wal.add(Record::Write(service, xid, row.clone()));
        self.heap.put(service, xid, row.clone());
        row
    }

    /// Has a listening session look at the queue, if it is idle.
    pub(super) fn hear(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.signalled && session.is_idle() && !session.frozen {
            session.signalled = false;
            let (place, notes) = self.queue.read(session.place, &session.channels, &self.transactions);
            session.place = place;
            session.notes.extend(notes);
        }
    }

    /// The schema of a service.
    pub(super) fn schema(&self, service: Service) -> &Arc<str> {
        &self.schemas[service.0]
    }

    /// The channel of a service's bell.
    pub fn bell_channel(&self, service: Service) -> Arc<str> {
        format!("published_in_{}", self.schema(service)).into()
    }

    /// The channel on which a service's leader learns that something was cancelled.
    pub fn cancel_channel(&self, service: Service) -> Arc<str> {
        format!("cancelled_in_{}", self.schema(service)).into()
    }

    /// The channel on which a service's leader learns that something is due soon.
    pub fn due_channel(&self, service: Service) -> Arc<str> {
        format!("due_in_{}", self.schema(service)).into()
    }

    /// The transaction that this session's statement waits for.
    pub fn waits_for(&self, session: SessionId) -> Option<Xid> {
        match self.sessions.get(&session)?.waiting.as_ref()?.on {
            Blocker::Transaction(xid) => Some(xid),
            Blocker::Notifier | Blocker::Nobody => None,
        }
    }

    /// The moment at which this session's statement gives up waiting for a lock, if it ever does.
    pub fn gives_up_at(&self, session: SessionId) -> Option<Time> {
        let waiting = self.sessions.get(&session)?.waiting.as_ref()?;
        waiting.patience.map(|patience| waiting.since + patience)
    }

    /// True if this session and others wait for each other.
    pub fn is_deadlocked(&self, of: SessionId) -> bool {
        let mut seen = BTreeSet::new();
        let mut at = of;
        while seen.insert(at) {
            let waiting = self.sessions.get(&at).and_then(|session| session.waiting.as_ref());
            let next = match waiting.map(|waiting| waiting.on) {
                Some(Blocker::Transaction(xid)) => {
                    self.sessions.iter().find(|(_, session)| session.xid() == Some(xid)).map(|(id, _)| *id)
                }
                Some(Blocker::Notifier) => self.notifier,
                Some(Blocker::Nobody) | None => None,
            };
            match next {
                Some(next) if next == of => return true,
                Some(next) => at = next,
                None => return false,
            }
        }
        false
    }
}

/// The moment at which this session has waited, or stood idle, for long enough.
fn due(session: &Session) -> Option<Time> {
    let Some(waiting) = &session.waiting else {
        let is_idle = session.transaction.as_ref().is_some_and(|transaction| transaction.explicit);
        return session.idle_timeout.filter(|_| is_idle).map(|limit| session.changed + limit);
    };
    if waiting.on == Blocker::Nobody {
        return None;
    }
    let lock = waiting.patience.map(|patience| waiting.since + patience);
    let statement = session.statement_timeout.map(|limit| session.changed + limit);
    let deadlock = (!waiting.checked).then_some(waiting.since + DEADLOCK_TIMEOUT);
    lock.into_iter().chain(statement).chain(deadlock).min()
}
