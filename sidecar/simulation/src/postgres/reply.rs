//! Statements that settle: `settle.sql` of the dispatcher, alone and where it leaves out what has a
//! reply, a reply handler's, `tpro.cancel`.

use std::time::Duration;

use super::{
    outbox::reply_key,
    row::{Reply, Row, Service},
    server::Server,
    session::SessionId,
    sqlstate::SqlState,
    statement::{Answer, Statement},
    transactions::{State, View},
    work::{Insert, Returns},
    writing::Flow,
};

/// The longest that a batch of replies waits for a row that another transaction has in hand.
pub(super) const PATIENCE: Duration = Duration::from_millis(20);

impl Statement {
    /// The replies that a leader writes with this statement.
    pub fn settles(&self) -> Option<(Service, &[Reply])> {
        match self {
            Self::Settle(service, replies, _)
            | Self::SettleUnsettled(service, replies, _)
            | Self::SettleHolding(service, replies, ..) => Some((*service, replies)),
            _ => None,
        }
    }
}

impl Server {
    /// `reply.settle`, or `reply.settle_unsettled`, which `skips` what has a reply.
    pub(super) fn settle(
        &mut self,
        session: SessionId,
        service: Service,
        replies: Vec<Reply>,
        skips: bool,
    ) -> Flow {
        self.set_patience(session, Some(PATIENCE));
        let rows = replies.into_iter().map(Row::Reply).collect();
        self.insert(session, Insert { service, rows, skips, inserted: Vec::new(), returns: Returns::Count })
    }

    /// The reply of a message, if that is there with the uid of the reply.
    pub(super) fn settle_own(
        &mut self,
        session: SessionId,
        is_there: bool,
        service: Service,
        reply: Reply,
    ) -> Flow {
        let rows = is_there.then_some(Row::Reply(reply)).into_iter().collect();
        self.insert(
            session,
            Insert { service, rows, skips: true, inserted: Vec::new(), returns: Returns::Count },
        )
    }

    /// `tpro.cancel`.
    pub(super) fn cancel(
        &mut self,
        session: SessionId,
        service: Service,
        id: i64,
        uid: Option<u128>,
    ) -> Flow {
        let error = "{\"code\": -32004, \"message\": \"cancelled by an operator\"}";
        let reply = Reply {
            mq_id: id,
            uid: uid.unwrap_or_default(),
            status: "cancelled".into(),
            error: Some(error.into()),
            ..Reply::default()
        };
        if uid.is_none() {
            return self.cancel_later(session, service, id, reply);
        }
        let rows = [Row::Reply(reply)].into();
        self.insert(
            session,
            Insert { service, rows, skips: true, inserted: Vec::new(), returns: Returns::Cancelled },
        )
    }

    /// `reply.try`: a reply is written within a subtransaction and taken back, which costs two ids. The statement answers at
    /// once where PostgreSQL would wait for 20 ms and then answer the same.
    pub(super) fn try_to_settle(&mut self, session: SessionId, service: Service) -> Flow {
        if self.full {
            return Flow::error(SqlState::DISK_FULL);
        }
        let newest = self.sequences[service.0].last();
        for tried in [newest, newest + 1] {
            let found = self.heap.newest(&reply_key(service, tried), &self.transactions);
            match found.map(|(by, _)| self.transactions.state(by)) {
                Some(State::Committed) => {}
                Some(State::Running | State::Aborted) => break,
                None => {
                    if let Err(state) = self.xid(session) {
                        return Flow::error(state);
                    }
                    let inner = self.transactions.begin();
                    self.transactions.end(inner, false);
                    break;
                }
            }
        }
        Flow::ok(Answer::Done)
    }

    /// The uid of a message, as a statement sees it.
    pub(super) fn uid_of(&self, view: View, service: Service, id: i64) -> Option<u128> {
        self.message(view, service, id).map(|message| message.uid)
    }
}
