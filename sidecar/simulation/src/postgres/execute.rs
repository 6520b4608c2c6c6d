//! A statement from its begin to its end, and the ends of sessions.

use tpro_service::handler::settling::asks_for_uid;

use super::{
    locks::LockKind,
    row::{Key, Row, Table},
    server::{DEADLOCK_TIMEOUT, Server},
    session::SessionId,
    sqlstate::SqlState,
    statement::{Answer, Statement, Step},
    transactions::View,
    work::{Change, Insert, Phase, Returns, Waiting, Work},
    writing::Flow,
};
use crate::time::Time;

impl Server {
    /// Runs a statement of a session that has none under way.
    ///
    /// # Panics
    /// When the session's last statement is not over, or its backend stands still: statements wait in the connection then.
    pub fn execute(&mut self, id: SessionId, statement: Statement, now: Time) -> Step {
        let clock = self.clock(now);
        let Some(session) = self.sessions.get_mut(&id) else { return Step::Done(Err(SqlState::LOST)) };
        assert!(session.waiting.is_none() && !session.frozen, "{id:?} is not free for {statement:?}");
        (session.changed, session.shown) = (now, clock);
        let (explicit, failed) =
            session.transaction.as_ref().map_or((false, false), |open| (open.explicit, open.failed));
        let flow = match statement {
            Statement::Begin if !failed => {
                session.transaction.get_or_insert_default().explicit = true;
                return self.over(id, Ok(Answer::Done), now);
            }
            Statement::Rollback => {
                self.abort(id, false);
                return self.over(id, Ok(Answer::Done), now);
            }
            Statement::Commit if failed => {
                self.abort(id, false);
                return self.over(id, Ok(Answer::RolledBack), now);
            }
            Statement::Commit if explicit => self.commit(id, Phase::Ringing, Answer::Done),
            Statement::Commit => return self.over(id, Ok(Answer::Done), now),
            Statement::Prepare(name) => {
                let result = self.prepare(id, name);
                return self.over(id, result, now);
            }
            _ if failed => return self.over(id, Err(SqlState::FAILED_TRANSACTION), now),
            Statement::CommitPrepared(_) | Statement::RollbackPrepared(_) if explicit => {
                Flow::error(SqlState::ACTIVE_TRANSACTION)
            }
            other => {
                session.transaction.get_or_insert_default();
                self.start(id, other, clock)
            }
        };
        self.follow(id, flow, now)
    }

    /// Goes on with the statement of a session that waits, or ends one that stood idle for too long.
    pub fn resume(&mut self, id: SessionId, now: Time) -> Step {
        let Some(session) = self.sessions.get_mut(&id) else { return Step::Done(Err(SqlState::LOST)) };
        let Some(mut waiting) = session.waiting.take() else {
            self.end(id);
            return Step::Done(Err(SqlState::IDLE_IN_TRANSACTION));
        };
        let in_commit = waiting.is_commit();
        if session.terminated && !in_commit {
            self.end(id);
            return Step::Done(Err(SqlState::ADMIN_SHUTDOWN));
        }
        let statement_over =
            session.statement_timeout.is_some_and(|limit| session.changed + limit <= now) && !in_commit;
        if self.blocks(waiting.on, id) {
            let lock_over = waiting.patience.is_some_and(|patience| waiting.since + patience <= now);
            let looks = !waiting.checked && waiting.since + DEADLOCK_TIMEOUT <= now;
            waiting.checked |= looks;
            self.wait(id, waiting);
            let state = match () {
                () if lock_over => SqlState::LOCK_NOT_AVAILABLE,
                () if statement_over => SqlState::CANCELLED,
                () if looks && self.is_deadlocked(id) => SqlState::DEADLOCK,
                () => return Step::Waits,
            };
            if let Some(session) = self.sessions.get_mut(&id) {
                session.waiting = None;
            }
            return self.follow(id, Flow::error(state), now);
        }
        let flow = match waiting.work {
            Work::Insert(insert) => self.insert(id, insert),
            Work::Update(service, change) => self.update(id, service, change, None),
            Work::Commit(phase, answer) => self.commit(id, phase, answer),
        };
        self.follow(id, flow, now)
    }

    /// Lets a session end the commit that it is in, if it waits for nobody: what is in the log has happened.
    pub(super) fn finish_commit(&mut self, id: SessionId, now: Time) {
        while self
            .sessions
            .get(&id)
            .and_then(|session| session.waiting.as_ref())
            .is_some_and(Waiting::is_commit)
        {
            self.resume(id, now);
        }
    }

    /// Ends a backend as `pg_terminate_backend` does: at once, or as soon as it goes on or its commit is over.
    pub fn terminate(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.terminated = true;
        if session.waiting.is_none() && !session.frozen {
            self.end(id);
        }
    }

    /// The server notices that the client is gone. A statement that is under way goes on until it is over.
    pub fn hang_up(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.gone = true;
        if session.waiting.is_none() && !session.frozen {
            self.end(id);
        }
    }

    /// Has a backend stand still, or go on.
    pub fn freeze(&mut self, id: SessionId, frozen: bool) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.frozen = frozen;
        if !frozen && session.waiting.is_none() && (session.terminated || session.gone) {
            return self.end(id);
        }
        self.hear(id);
    }

    /// Ends a session: its transaction is rolled back, its locks are let go.
    pub(super) fn end(&mut self, id: SessionId) {
        self.abort(id, false);
        self.locks.end_session(id);
        self.sessions.remove(&id);
    }

    fn wait(&mut self, id: SessionId, waiting: Waiting) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.waiting = Some(waiting);
        }
    }

    fn follow(&mut self, id: SessionId, flow: Flow, now: Time) -> Step {
        match flow {
            Flow::Waits(work, on) => {
                let patience = self.sessions.get(&id).and_then(|session| session.patience());
                self.wait(id, Waiting { work, on, since: now, patience, checked: false });
                Step::Waits
            }
            Flow::Done(Err(state)) => {
                self.abort(id, true);
                self.over(id, Err(state), now)
            }
            Flow::Done(Ok(answer)) => {
                let open = self.sessions.get(&id).and_then(|session| session.transaction.as_ref());
                match open.is_some_and(|transaction| !transaction.explicit) {
                    // A statement by itself is a transaction.
                    true => {
                        let flow = self.commit(id, Phase::Ringing, answer);
                        self.follow(id, flow, now)
                    }
                    false => self.over(id, Ok(answer), now),
                }
            }
        }
    }

    /// The statement is over.
    fn over(&mut self, id: SessionId, result: Result<Answer, SqlState>, now: Time) -> Step {
        self.hear(id);
        let clock = self.clock(now);
        if let Some(session) = self.sessions.get_mut(&id) {
            (session.changed, session.shown) = (now, clock);
            if session.terminated || session.gone {
                self.end(id);
            }
        }
        Step::Done(result)
    }

    /// Begins a statement, at this time by the clock of the host.
    fn start(&mut self, id: SessionId, statement: Statement, clock: Time) -> Flow {
        let own = self.sessions.get(&id).and_then(|session| session.xid());
        let snapshot = self.transactions.snapshot(own);
        macro_rules! view {
            () => {
                View { transactions: &self.transactions, snapshot: &snapshot, own }
            };
        }
        Flow::ok(match statement {
            Statement::SetPatience(patience) => {
                self.set_patience(id, patience);
                Answer::Done
            }
            Statement::TakeXid => return from(self.xid(id).map(Answer::Xid)),
            Statement::Snapshot => Answer::Snapshot(snapshot),
            Statement::Heartbeat => Answer::Time(clock),
            Statement::Identity => Answer::Identity(self.timeline, self.started),
            Statement::Listen(channel) => {
                if let Some(open) =
                    self.sessions.get_mut(&id).and_then(|session| session.transaction.as_mut())
                {
                    open.listens.push(channel);
                }
                Answer::Done
            }
            Statement::Notify(channel, payload) => {
                self.notify(id, channel, payload);
                Answer::Done
            }
            Statement::CommitPrepared(name) => return from(self.finish_prepared(&name, true)),
            Statement::RollbackPrepared(name) => return from(self.finish_prepared(&name, false)),
            Statement::Publish(service, messages) => return self.publish(id, service, messages, clock),
            Statement::PublishLater(service, messages, send_at) => {
                return self.publish_later(id, service, messages, send_at, clock);
            }
            Statement::SendDue(service, from, at_most) => {
                return self.send_due(id, service, from, at_most, clock);
            }
            Statement::Draw(service) => return from(self.draw(id, service).map(Answer::Number)),
            Statement::Read(service, window) => Answer::Page(self.read(view!(), service, &window)),
            Statement::LookBack(service, seen, until, last, after, rows) => {
                Answer::LookedBack(self.look_back(view!(), service, (&seen, &until), last, after, rows))
            }
            Statement::Drawn(service) => Answer::Number(self.sequences[service.0].drawn()),
            Statement::Fetch(service, ids) => {
                Answer::Messages(self.fetch(view!(), service, &ids).cloned().collect())
            }
            Statement::Unsettled(service, ids) => self.unsettled(view!(), service, &ids),
            Statement::Settled(service, ids) => self.settled(view!(), service, &ids),
            Statement::Owed(service, ids) => self.owed(view!(), service, &ids),
            Statement::Forward(service, ids) => self.forward(view!(), service, &ids),
            Statement::Settle(service, replies, number) => {
                let is_known = self.callbacks_in(view!(), service).number == number;
                return self.settle_if(is_known, id, service, replies, false);
            }
            Statement::SettleUnsettled(service, replies, number) => {
                let is_known = self.callbacks_in(view!(), service).number == number;
                return self.settle_if(is_known, id, service, replies, true);
            }
            Statement::SettleHolding(service, replies, number, holds) => {
                let is_known = self.callbacks_in(view!(), service).number == number;
                return self.settle_holding(is_known, id, service, replies, holds);
            }
            Statement::Holds(service, holding) => return self.holding(id, service, holding),
            Statement::Callbacks(service) => Answer::Callbacks(self.callbacks_in(view!(), service)),
            Statement::NameCallbacks(service, targets) => return self.name(id, service, targets),
            Statement::SettleOwn(service, reply) => {
                let uid = self.uid_of(view!(), service, reply.mq_id);
                let is_there = match asks_for_uid() {
                    true => uid == Some(reply.uid),
                    false => uid.is_some(),
                };
                return self.settle_own(id, is_there, service, reply);
            }
            Statement::TryToSettle(service) => return self.try_to_settle(id, service),
            Statement::Cancel(service, number) => {
                let uid = self.uid_of(view!(), service, number);
                return self.cancel(id, service, number, uid);
            }
            Statement::Cursor(service) => {
                let key = Key { service, table: Table::Cursor, uid: 0, number: 0 };
                match self.heap.get(&key, view!()) {
                    Some(Row::Cursor(cursor)) => Answer::Cursor(cursor.clone()),
                    _ => return Flow::error(SqlState::NO_DATA),
                }
            }
            Statement::MoveCursor(service, cursor) => {
                return self.update(id, service, Change::Cursor(cursor), Some(&snapshot));
            }
            Statement::NoteBacklog(service, unsettled, whole, read) => {
                let change = Change::Backlog { unsettled, whole, read };
                return self.update(id, service, change, Some(&snapshot));
            }
            Statement::Lead(service) => return self.hold(id, service, LockKind::Leader),
            Statement::Sleep(service) => return self.hold(id, service, LockKind::Bell),
            Statement::Present(service, key) => return self.hold(id, service, LockKind::Copy(key)),
            Statement::Wake(service) => {
                self.locks.let_go((service, LockKind::Bell), id);
                Answer::Done
            }
            Statement::IsPresent(service, key) => {
                Answer::Flag(self.locks.is_held_elsewhere((service, LockKind::Copy(key)), id))
            }
            Statement::IsLed(service, pid) => {
                Answer::Flag(self.leader(service).is_some_and(|leader| leader.0 == pid))
            }
            Statement::Depose(service) => return self.depose(service, clock),
            Statement::Accept(service, key, takings) => return self.accept(id, service, key, takings, clock),
            Statement::Known(service, key, uids) => self.known(view!(), id, service, key, &uids, clock),
            Statement::Finish(service, outcomes) => return self.finish(id, service, outcomes),
            Statement::FinishAccepted(service, key, mut outcomes) => {
                outcomes.retain(|outcome| self.is_accepted(view!(), service, key, outcome.uid));
                return self.finish(id, service, outcomes);
            }
            Statement::Outcomes(service, uids) => self.outcomes(view!(), service, &uids),
            Statement::Begun(service, uid) => Answer::Number(self.begun(view!(), service, uid).into()),
            Statement::CountRepeat(service, key, taking) => {
                let begun = self.begun(view!(), service, taking.uid);
                return self.count_repeat(id, service, key, taking, begun, clock);
            }
            Statement::Effect(service, uid) => {
                let rows = [Row::Effect(uid)].into();
                let insert =
                    Insert { service, rows, skips: false, inserted: Vec::new(), returns: Returns::Count };
                return self.insert(id, insert);
            }
            // Dealt with before.
            Statement::Begin | Statement::Commit | Statement::Rollback | Statement::Prepare(_) => {
                Answer::Done
            }
        })
    }
}

fn from(result: Result<Answer, SqlState>) -> Flow {
    Flow::Done(result)
}
