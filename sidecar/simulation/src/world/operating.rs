//! Operators who cancel messages.

use std::time::Duration;

use super::{
    World,
    event::{Event, Owner},
    line::Ended,
};
use crate::postgres::{Answer, Service, SessionId, Statement};

/// An operator at work.
pub struct Operating {
    session: SessionId,
    /// The message.
    pub(super) uid: u128,
    open: Duration,
    /// Its COMMIT is under way.
    pub(super) commits: bool,
}

impl World {
    pub(super) fn cancel(&mut self, at: usize) {
        let found = self.book.fates.iter().find(|(_, fate)| fate.transaction == Some(at));
        let Some((uid, fate)) = found else { return };
        let (uid, service) = (*uid, fate.service);
        let (Some(id), Some(_)) = (fate.id, fate.committed) else { return };
        // A failover may have given its id to another message.
        if !self.database.is_published(Service(service), id, uid) {
            return;
        }
        let open = self.plan.transactions[at].cancel.map_or(Duration::ZERO, |(_, open)| open);
        let Some(session) = self.connect(Owner::Operator(at), None) else { return };
        self.operators.insert(at, Operating { session, uid, open, commits: false });
        self.ask(session, Statement::Begin);
        self.ask(session, Statement::Cancel(Service(service), id));
    }

    pub(super) fn operator_hears(&mut self, at: usize, session: SessionId, ended: Ended) {
        let Some(operating) = self.operators.get_mut(&at).filter(|it| it.session == session) else { return };
        match ended.result {
            Ok(Answer::Flag(_)) => {
                let open = operating.open;
                self.scheduler.after(open, Event::ConcludeCancel(at));
            }
            Ok(_) if !operating.commits => {}
            _ => {
                self.operators.remove(&at);
                self.close(session);
            }
        }
    }

    pub(super) fn conclude_cancel(&mut self, at: usize) {
        let Some(operating) = self.operators.get_mut(&at) else { return };
        operating.commits = true;
        let session = operating.session;
        self.ask(session, Statement::Commit);
    }
}
