//! Reply handlers in SQL, and the statement that settles by the newest number that its leader knows.

use super::{
    row::{Callbacks, Key, Reply, Row, Service, Table},
    server::Server,
    session::SessionId,
    statement::Answer,
    transactions::View,
    work::Change,
    writing::Flow,
};

impl Server {
    /// The reply handlers in SQL, as far as they are committed.
    pub fn callbacks(&self, service: Service) -> Callbacks {
        callbacks(self.row(key(service)))
    }

    /// Those that are seen.
    pub(super) fn callbacks_in(&self, view: View<'_>, service: Service) -> Callbacks {
        callbacks(self.heap.get(&key(service), view))
    }

    /// `tpro.on_reply` and `tpro.off_reply`.
    pub(super) fn name(&mut self, session: SessionId, service: Service, targets: u8) -> Flow {
        self.update(session, service, Change::Callbacks(targets), None)
    }

    /// `reply.settle` and `reply.settle_unsettled`: nothing is written if there is a handler that
    /// the leader does not know.
    pub(super) fn settle_if(
        &mut self,
        is_known: bool,
        session: SessionId,
        service: Service,
        replies: Vec<Reply>,
        skips: bool,
    ) -> Flow {
        match is_known {
            true => self.settle(session, service, replies, skips),
            false => Flow::ok(Answer::Count(0)),
        }
    }
}

fn key(service: Service) -> Key {
    Key { service, table: Table::Callbacks, uid: 0, number: 0 }
}

fn callbacks(row: Option<&Row>) -> Callbacks {
    match row {
        Some(Row::Callbacks(callbacks)) => *callbacks,
        _ => Callbacks::default(),
    }
}
