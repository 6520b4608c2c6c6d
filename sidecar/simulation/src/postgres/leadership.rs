//! The locks by which a service is led, and `tpro.depose`.

use std::time::Duration;

use super::{
    locks::LockKind, row::Service, server::Server, session::SessionId, sqlstate::SqlState, statement::Answer,
    work::Work, writing::Flow,
};
use crate::time::Time;

/// The silence after which `tpro.depose` ends a leader's session.
const SILENCE: Duration = Duration::from_secs(12);

impl Server {
    /// Takes a lock of the session: `tpro.lead`, `tpro.sleep`, `tpro.present`.
    pub(super) fn hold(&mut self, id: SessionId, service: Service, kind: LockKind) -> Flow {
        if self.in_recovery {
            return Flow::error(SqlState::READ_ONLY);
        }
        Flow::ok(Answer::Flag(self.locks.hold((service, kind), id)))
    }

    /// `tpro.depose`: ends the session of a leader that has been silent, unless its commit is under
    /// way.
    pub(super) fn depose(&mut self, service: Service, clock: Time) -> Flow {
        let silent = self.leader(service).filter(|leader| {
            self.sessions.get(leader).is_some_and(|session| {
                let in_commit =
                    session.waiting.as_ref().is_some_and(|waiting| matches!(waiting.work, Work::Commit(..)));
                !in_commit && session.shown + SILENCE < clock && session.started + SILENCE < clock
            })
        });
        if let Some(silent) = silent {
            self.terminate(silent);
        }
        Flow::ok(Answer::Flag(silent.is_some()))
    }
}
