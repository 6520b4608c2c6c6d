//! Ordering keys that are held: `settle_holding.sql`, `holds.sql` and `holds_of.sql` of the
//! dispatcher, the statements of a reply handler's transaction, `tpro.release`, and the part of
//! `tpro.retry` that adds a copy.
//!
//! If another transaction has a row in hand, a statement that changes it fails here, where
//! PostgreSQL would wait first.

use super::{
    reply::PATIENCE,
    row::{Hold, Key, Reply, Row, Service, Table},
    server::Server,
    session::SessionId,
    sqlstate::SqlState,
    statement::{Answer, Holding},
    transactions::{State, View},
    work::{Insert, Returns},
    writing::Flow,
};

/// The status of a message that has not failed.
const OK: &str = "ok";

impl Server {
    /// The keys that are held, for those who look at the server from outside.
    pub fn holds(&self, service: Service) -> Vec<Hold> {
        self.rows(service, Table::Hold).iter().filter_map(live).cloned().collect()
    }

    /// `reply.settle_holding`. Nothing is written if there is a handler that the leader does not
    /// know.
    pub(super) fn settle_holding(
        &mut self,
        is_known: bool,
        session: SessionId,
        service: Service,
        replies: Vec<Reply>,
        holds: Vec<Hold>,
    ) -> Flow {
        if !is_known {
            return Flow::ok(Answer::Count(0));
        }
        self.set_patience(session, Some(PATIENCE));
        let rows = replies.into_iter().map(Row::Reply).collect();
        let returns = Returns::Holding(holds);
        self.insert(session, Insert { service, rows, skips: true, inserted: Vec::new(), returns })
    }

    /// The second half of it: holds of those that were written and have failed; those that ended
    /// well let go.
    pub(super) fn write_holds(&mut self, session: SessionId, written: &Insert, holds: &[Hold]) -> Flow {
        let service = written.service;
        let (mut rows, mut well) = (Vec::new(), Vec::new());
        for row in &written.inserted {
            match &**row {
                Row::Reply(reply) if *reply.status == *OK => well.push(reply.mq_id),
                Row::Reply(reply) => rows.extend(holds.iter().find(|hold| hold.id == reply.mq_id).cloned()),
                _ => {}
            }
        }
        if let Err(state) = self.end_holds(session, service, &well) {
            return Flow::error(state);
        }
        let returns = Returns::Counted(written.inserted.len());
        self.insert_holds(session, service, rows, returns)
    }

    /// A statement on `mq_hold`.
    pub(super) fn holding(&mut self, session: SessionId, service: Service, holding: Holding) -> Flow {
        let deleted = match holding {
            Holding::Behind(id, rows) => {
                let held = self.held(session, service).into_iter().filter(|hold| hold.id > id);
                return Flow::ok(Answer::Holds(held.take(rows).collect()));
            }
            Holding::Of(ids) => {
                let held = self.held(session, service).into_iter().filter(|hold| ids.contains(&hold.id));
                return Flow::ok(Answer::Holds(held.collect()));
            }
            Holding::Add(hold) => return self.insert_holds(session, service, vec![hold], Returns::Count),
            Holding::LetGo(id) => {
                let deleted = self.end_holds(session, service, &[id]);
                return Flow::Done(deleted.map(|deleted| Answer::Count(deleted.len())));
            }
            Holding::Release(lane, key) => {
                self.change_holds(session, service, |hold| hold.lane == lane && hold.key == key, true)
            }
            Holding::Copy(of, copy) => {
                // The rows of the key are locked, so that who lets it go sees the copy.
                let held = match self.change_key(session, service, &[of], false) {
                    Ok(held) => held.into_iter().filter(|hold| hold.id == of),
                    Err(state) => return Flow::error(state),
                };
                let copied: Vec<Hold> = held.map(|hold| Hold { id: copy, ..hold }).collect();
                self.ring_for_holds(session, service, &copied);
                return self.insert_holds(session, service, copied, Returns::Count);
            }
        };
        match deleted {
            Ok(deleted) => {
                self.ring_for_holds(session, service, &deleted);
                // The number of services.
                Flow::ok(Answer::Count(usize::from(!deleted.is_empty())))
            }
            Err(state) => Flow::error(state),
        }
    }

    /// The leader is told on the channel of what is cancelled.
    fn ring_for_holds(&mut self, session: SessionId, service: Service, changed: &[Hold]) {
        if !changed.is_empty() {
            self.notify(session, self.cancel_channel(service), "".into());
        }
    }

    fn insert_holds(
        &mut self,
        session: SessionId,
        service: Service,
        holds: Vec<Hold>,
        returns: Returns,
    ) -> Flow {
        let rows = holds.into_iter().map(Row::Hold).collect();
        self.insert(session, Insert { service, rows, skips: true, inserted: Vec::new(), returns })
    }

    /// The rows that a statement of this session sees.
    fn held(&self, session: SessionId, service: Service) -> Vec<Hold> {
        let own = self.sessions.get(&session).and_then(|session| session.xid());
        let snapshot = self.transactions.snapshot(own);
        let view = View { transactions: &self.transactions, snapshot: &snapshot, own };
        self.heap.scan(service, Table::Hold, view).filter_map(|(_, row)| live(row)).cloned().collect()
    }

    /// `tpro.end_holds`: the keys that these messages hold are let go.
    fn end_holds(
        &mut self,
        session: SessionId,
        service: Service,
        ids: &[i64],
    ) -> Result<Vec<Hold>, SqlState> {
        self.change_key(session, service, ids, true)
    }

    /// Deletes or locks the rows of the keys that these messages hold, and returns them.
    fn change_key(
        &mut self,
        session: SessionId,
        service: Service,
        ids: &[i64],
        gone: bool,
    ) -> Result<Vec<Hold>, SqlState> {
        let mut own = self.held(session, service);
        own.retain(|hold| ids.contains(&hold.id));
        let is_same = |hold: &Hold| own.iter().any(|own| own.lane == hold.lane && own.key == hold.key);
        self.change_holds(session, service, is_same, gone)
    }

    /// Deletes or locks rows, and returns them. A row that was written again is locked.
    fn change_holds(
        &mut self,
        session: SessionId,
        service: Service,
        is_asked: impl Fn(&Hold) -> bool,
        gone: bool,
    ) -> Result<Vec<Hold>, SqlState> {
        let mut deleted = self.held(session, service);
        deleted.retain(is_asked);
        for hold in &deleted {
            let key = Key { service, table: Table::Hold, uid: 0, number: hold.id };
            let own = self.sessions.get(&session).and_then(|session| session.xid());
            let by = self.heap.newest(&key, &self.transactions).map(|(by, _)| by);
            if by.is_some_and(|by| Some(by) != own && self.transactions.state(by) == State::Running) {
                return Err(SqlState::LOCK_NOT_AVAILABLE);
            }
            let xid = self.xid(session)?;
            self.write(service, xid, Row::Hold(Hold { gone, ..hold.clone() }));
        }
        Ok(deleted)
    }
}

/// The hold of a row that was not deleted.
fn live(row: &Row) -> Option<&Hold> {
    match row {
        Row::Hold(hold) if !hold.gone => Some(hold),
        _ => None,
    }
}
