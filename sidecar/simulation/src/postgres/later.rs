//! Messages that are sent later: the INSERT into `mq_later`, `tpro.send_due`, and `tpro.cancel` of such a message.

use std::time::Duration;

use super::{
    row::{Key, Later, Message, Reply, Row, Service, Table},
    server::Server,
    session::SessionId,
    sqlstate::SqlState,
    statement::{Answer, NewMessage, SentDue},
    transactions::{State, View},
    work::{Insert, Returns},
    writing::Flow,
};
use crate::time::Time;

/// The pause before another look at a row that somebody has in hand.
const LOCKED: Duration = Duration::from_millis(100);

impl Server {
    /// INSERT into `mq_later`. The uid is that of the script, where the product makes one when the message goes.
    pub(super) fn publish_later(
        &mut self,
        session: SessionId,
        service: Service,
        messages: Vec<NewMessage>,
        send_at: Time,
        now: Time,
    ) -> Flow {
        let made = self.messages(session, service, messages, now);
        let rows = match made {
            Ok(made) => {
                made.into_iter().map(|message| Row::Later(Later { message, send_at, gone: false })).collect()
            }
            Err(state) => return Flow::error(state),
        };
        let transaction = self.sessions.get_mut(&session).and_then(|session| session.transaction.as_mut());
        if let Some(transaction) = transaction {
            let first = transaction.later.entry(service).or_insert(send_at);
            *first = send_at.min(*first);
        }
        self.insert(
            session,
            Insert { service, rows, skips: false, inserted: Vec::new(), returns: Returns::Ids },
        )
    }

    /// `tpro.send_due`.
    pub(super) fn send_due(
        &mut self,
        session: SessionId,
        service: Service,
        from: Option<Time>,
        at_most: usize,
        clock: Time,
    ) -> Flow {
        let own = self.sessions.get(&session).and_then(|session| session.xid());
        let snapshot = self.transactions.snapshot(own);
        let view = View { transactions: &self.transactions, snapshot: &snapshot, own };
        let mut waiting: Vec<Later> = self
            .heap
            .scan(service, Table::Later, view)
            .filter_map(|(_, row)| match row {
                Row::Later(later) if !later.gone && Some(later.send_at) >= from => Some(later.clone()),
                _ => None,
            })
            .collect();
        waiting.sort_by_key(|later| (later.send_at, later.message.id));
        let due = waiting.iter().filter(|later| later.send_at <= clock);
        // FOR UPDATE SKIP LOCKED.
        let due = due.filter(|later| !self.is_locked(service, later.message.id));
        let due: Vec<Later> = due.take(at_most).cloned().collect();
        let left = waiting.iter().find(|later| !due.iter().any(|gone| gone.message.id == later.message.id));
        let mut left = left.map(|left| left.send_at);
        let mut upto = from;
        let (mut rows, mut least, mut renamed) = (0, None, Vec::new());
        for later in due {
            let (id, uid, send_at) = (later.message.id, later.message.uid, later.send_at);
            match self.go(session, service, later.clone(), None) {
                Ok(()) => {
                    rows += 1;
                    least = Some(least.map_or(id, |least: i64| least.min(id)));
                    upto = Some(send_at);
                }
                Err(SqlState::UNIQUE) => match self.rename(session, service, later) {
                    Ok(id) => {
                        renamed.push((uid, id));
                        left = Some(left.map_or(send_at, |left| left.min(send_at)));
                    }
                    Err(state) => return Flow::error(state),
                },
                Err(state) => return Flow::error(state),
            }
        }
        let upto = upto.map(|upto| left.map_or(upto, |left| left.min(upto)));
        let next = left.map(|left| match left <= clock && rows < at_most {
            // Somebody has it in hand, and may let it go. Or it has another id now.
            true => LOCKED,
            false => left - clock,
        });
        Flow::ok(Answer::SentDue(SentDue { rows, least, upto, next, renamed }))
    }

    /// Gives another id to a message whose id the outbox has already. Returns that id.
    fn rename(&mut self, session: SessionId, service: Service, later: Later) -> Result<i64, SqlState> {
        let tx = self.xid(session)?;
        let id = self.draw(session, service)?;
        let message = Message { id, ..later.message.clone() };
        self.write(service, tx, Row::Later(Later { message, ..later }));
        self.write(service, tx, Row::Later(Later { gone: true, ..later }));
        Ok(id)
    }

    /// Puts a message into the outbox whose time has come, or that is cancelled before: then it
    /// expired long ago. If another transaction is putting one of this id there, the statement
    /// fails here, where PostgreSQL would wait for half a second first.
    fn go(
        &mut self,
        session: SessionId,
        service: Service,
        later: Later,
        expires_at: Option<Time>,
    ) -> Result<(), SqlState> {
        if self.full {
            return Err(SqlState::DISK_FULL);
        }
        let tx = self.xid(session)?;
        let key = Key { service, table: Table::Publish, uid: 0, number: later.message.id };
        let there = self.heap.newest(&key, &self.transactions).map(|(by, _)| self.transactions.state(by));
        match there {
            Some(State::Running) => return Err(SqlState::LOCK_NOT_AVAILABLE),
            Some(_) => return Err(SqlState::UNIQUE),
            None => {}
        }
        let message =
            Message { tx, expires_at: expires_at.or(later.message.expires_at), ..later.message.clone() };
        self.write(service, tx, Row::Later(Later { gone: true, ..later }));
        self.write(service, tx, Row::Publish(message));
        let transaction = self.sessions.get_mut(&session).and_then(|session| session.transaction.as_mut());
        if let Some(transaction) = transaction {
            transaction.published.insert(service);
        }
        Ok(())
    }

    /// `tpro.cancel` of a message that waits for its time. If another transaction has the row in
    /// hand, the statement fails here, where PostgreSQL would wait.
    pub(super) fn cancel_later(
        &mut self,
        session: SessionId,
        service: Service,
        id: i64,
        reply: Reply,
    ) -> Flow {
        let own = self.sessions.get(&session).and_then(|session| session.xid());
        let snapshot = self.transactions.snapshot(own);
        let view = View { transactions: &self.transactions, snapshot: &snapshot, own };
        let later = match self.heap.get(&later_key(service, id), view) {
            Some(Row::Later(later)) if !later.gone => later.clone(),
            _ => return Flow::error(SqlState::NO_DATA),
        };
        if self.is_locked(service, id) {
            return Flow::error(SqlState::LOCK_NOT_AVAILABLE);
        }
        let uid = later.message.uid;
        if let Err(state) = self.go(session, service, later, Some(Time::START)) {
            return Flow::error(state);
        }
        let rows = [Row::Reply(Reply { uid, ..reply })].into();
        self.insert(
            session,
            Insert { service, rows, skips: true, inserted: Vec::new(), returns: Returns::Cancelled },
        )
    }

    /// True if a transaction that is open has the row of this id in hand.
    fn is_locked(&self, service: Service, id: i64) -> bool {
        let newest = self.heap.newest(&later_key(service, id), &self.transactions);
        newest.is_some_and(|(by, _)| self.transactions.state(by) == State::Running)
    }
}

/// The key of a message that is sent later.
pub(super) fn later_key(service: Service, id: i64) -> Key {
    Key { service, table: Table::Later, uid: 0, number: id }
}
