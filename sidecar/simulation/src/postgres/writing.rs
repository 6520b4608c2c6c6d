//! Writes: a transaction's id, INSERT with unique keys, UPDATE of the one row.

use std::time::Duration;

use super::{
    row::{Backlog, Callbacks, Key, Row, Service, Table},
    server::Server,
    session::SessionId,
    snapshot::Snapshot,
    sqlstate::SqlState,
    statement::Answer,
    transactions::{State, View},
    wal::Record,
    work::{Blocker, Change, Insert, Returns, Work},
    xid::Xid,
};

/// The end of a step of a statement's work.
pub(super) enum Flow {
    /// It is over.
    Done(Result<Answer, SqlState>),
    /// It waits.
    Waits(Work, Blocker),
}

impl Flow {
    pub(super) fn ok(answer: Answer) -> Self {
        Self::Done(Ok(answer))
    }

    pub(super) fn error(state: SqlState) -> Self {
        Self::Done(Err(state))
    }
}

impl Server {
    /// The id of the session's transaction; it gets one if it has none.
    pub(super) fn xid(&mut self, session: SessionId) -> Result<Xid, SqlState> {
        if self.in_recovery {
            return Err(SqlState::READ_ONLY);
        }
        let transaction = self.sessions.get_mut(&session).and_then(|session| session.transaction.as_mut());
        let transaction = transaction.ok_or(SqlState::LOST)?;
        Ok(*transaction.xid.get_or_insert_with(|| self.transactions.begin()))
    }

    /// The next id of a service's outbox. One in 33 is logged, for which the transaction needs an id.
    pub(super) fn draw(&mut self, session: SessionId, service: Service) -> Result<i64, SqlState> {
        let (id, logged) = self.sequences[service.0].draw();
        if let Some(logged) = logged {
            self.xid(session)?;
            self.wal.add(Record::Sequence(service, logged));
        }
        Ok(id)
    }

    /// Sets `lock_timeout` for the rest of the transaction.
    pub(super) fn set_patience(&mut self, session: SessionId, patience: Option<Duration>) {
        let transaction = self.sessions.get_mut(&session).and_then(|session| session.transaction.as_mut());
        if let Some(transaction) = transaction {
            transaction.patience = patience;
        }
    }

    /// Goes on with an INSERT.
    pub(super) fn insert(&mut self, session: SessionId, mut insert: Insert) -> Flow {
        let service = insert.service;
        while let Some(row) = insert.rows.front() {
            if is_bad(row) {
                return Flow::error(SqlState::UNTRANSLATABLE);
            }
            if self.full {
                return Flow::error(SqlState::DISK_FULL);
            }
            // Without DO NOTHING the row is written first, and only then found to be one too many.
            if !insert.skips
                && let Err(state) = self.xid(session)
            {
                return Flow::error(state);
            }
            let own = self.sessions.get(&session).and_then(|session| session.xid());
            let key = row.key(service, own.unwrap_or_default());
            let newest = self.heap.newest(&key, &self.transactions);
            // A row that was deleted leaves its key free.
            let is_over = |by| Some(by) == own || self.transactions.state(by) == State::Committed;
            let newest = newest.filter(|(by, row)| !(is_gone(row) && is_over(*by)));
            match newest.map(|(by, _)| by) {
                Some(by) if Some(by) != own && self.transactions.state(by) == State::Running => {
                    return Flow::Waits(Work::Insert(insert), Blocker::Transaction(by));
                }
                Some(_) if insert.skips => drop(insert.rows.pop_front()),
                Some(_) => return Flow::error(SqlState::UNIQUE),
                None => {
                    let xid = match self.xid(session) {
                        Ok(xid) => xid,
                        Err(state) => return Flow::error(state),
                    };
                    let Some(row) = insert.rows.pop_front() else { break };
                    insert.inserted.push(self.write(service, xid, row));
                }
            }
        }
        self.inserted(session, &insert)
    }

    fn inserted(&mut self, session: SessionId, insert: &Insert) -> Flow {
        let first = insert.inserted.first();
        Flow::ok(match &insert.returns {
            Returns::Holding(holds) => return self.write_holds(session, insert, holds),
            Returns::Counted(count) => Answer::Count(*count),
            Returns::Count => Answer::Count(insert.inserted.len()),
            Returns::Ids => Answer::Ids(insert.inserted.iter().filter_map(|row| id_of(row)).collect()),
            Returns::Uids => Answer::Uids(insert.inserted.iter().filter_map(|row| uid_of(row)).collect()),
            Returns::Repeat => Answer::Maybe(first.and_then(|row| match &**row {
                Row::Receive(receive) => Some(-i64::from(receive.run)),
                _ => None,
            })),
            Returns::Cancelled => {
                if first.is_some() {
                    let channel = self.cancel_channel(insert.service);
                    self.notify(session, channel, "".into());
                }
                Answer::Flag(first.is_some())
            }
        })
    }

    /// Goes on with an UPDATE of the one row of a table. The row that is there in the end decides, as far as it was seen.
    pub(super) fn update(
        &mut self,
        session: SessionId,
        service: Service,
        change: Change,
        seen: Option<&Snapshot>,
    ) -> Flow {
        if self.full {
            return Flow::error(SqlState::DISK_FULL);
        }
        let table = match change {
            Change::Cursor(_) => Table::Cursor,
            Change::Backlog { .. } => Table::Backlog,
            Change::Callbacks(_) => Table::Callbacks,
        };
        let key = Key { service, table, uid: 0, number: 0 };
        let own = self.sessions.get(&session).and_then(|session| session.xid());
        if let Some(snapshot) = seen {
            let view = View { transactions: &self.transactions, snapshot, own };
            let Some(row) = self.heap.get(&key, view) else { return Flow::ok(Answer::Count(0)) };
            if self.changed(service, row, &change).is_none() {
                return Flow::ok(Answer::Count(0));
            }
        }
        let xid = match self.xid(session) {
            Ok(xid) => xid,
            Err(state) => return Flow::error(state),
        };
        let Some((by, row)) = self.heap.newest(&key, &self.transactions) else {
            return Flow::ok(Answer::Count(0));
        };
        if by != xid && self.transactions.state(by) == State::Running {
            return Flow::Waits(Work::Update(service, change), Blocker::Transaction(by));
        }
        match self.changed(service, row, &change) {
            Some(row) => {
                self.write(service, xid, row);
                Flow::ok(Answer::Count(1))
            }
            None => {
                // The row was waited for, and is in hand now, though it is left as it is.
                let row = row.clone();
                self.write(service, xid, row);
                Flow::ok(Answer::Count(0))
            }
        }
    }

    /// The row as it is to be; none if the statement leaves it alone.
    fn changed(&self, service: Service, row: &Row, change: &Change) -> Option<Row> {
        match (change, row) {
            (Change::Cursor(cursor), _) => Some(Row::Cursor(cursor.clone())),
            (Change::Callbacks(targets), Row::Callbacks(was)) => {
                Some(Row::Callbacks(Callbacks { number: was.number + 1, targets: *targets }))
            }
            (Change::Backlog { unsettled, whole, read }, Row::Backlog(was)) => {
                let last = self.sequences[service.0].last();
                let upto = if *whole { last } else { was.upto.max(*read) };
                let now = Backlog { unsettled: *unsettled, upto };
                (now != *was).then_some(Row::Backlog(now))
            }
            _ => None,
        }
    }
}

/// True for a reply that jsonb does not hold.
fn is_bad(row: &Row) -> bool {
    match row {
        Row::Reply(reply) => {
            [&reply.result, &reply.error].into_iter().flatten().any(|text| text.contains("\\u0000"))
        }
        _ => false,
    }
}

/// True for a row that was deleted.
fn is_gone(row: &Row) -> bool {
    match row {
        Row::Later(later) => later.gone,
        Row::Hold(hold) => hold.gone,
        _ => false,
    }
}

fn id_of(row: &Row) -> Option<i64> {
    match row {
        Row::Publish(message) => Some(message.id),
        Row::Later(later) => Some(later.message.id),
        _ => None,
    }
}

fn uid_of(row: &Row) -> Option<u128> {
    match row {
        Row::Receive(receive) => Some(receive.uid),
        Row::Outcome(outcome) => Some(outcome.uid),
        _ => None,
    }
}
