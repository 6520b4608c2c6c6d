//! Bad moments: some faults wait for one, because a random moment is seldom bad.

use std::time::Duration;

use super::{
    World,
    book::Fate,
    event::Event,
    fault::{Fault, Kind},
    plan::Way,
    process::{Lead, Process},
    run::{Run, Stage},
};
use crate::postgres::{Service, SessionId};

/// A client hears at the latest after so long that its session is gone.
const UNHEARD: Duration = Duration::from_secs(15);
/// A budget, in seconds, that outlasts the consequences of a kill.
const LONG: i32 = 30;
/// Ids that are given out soon.
const NEXT: i64 = 5;

impl World {
    /// True if this is a moment for which faults of this kind wait.
    pub(super) fn is_bad_moment(&self, kind: Kind) -> bool {
        match kind {
            Kind::FailOver => self.loses_handled().is_some(),
            Kind::Kill => self.works_on_accepted().is_some(),
            _ => self.awaits_nobody().is_some(),
        }
    }

    /// The process that a fault hits that has waited for its moment.
    pub(super) fn victim_of_moment(&self, fault: &Fault) -> Option<usize> {
        match fault.kind {
            _ if !fault.is_patient() => None,
            Kind::Kill => self.works_on_accepted(),
            Kind::NoRoom => self.awaits_nobody().map(|(process, _)| process),
            _ => None,
        }
    }

    /// A process that works on what it has accepted, without an outcome, and that has much time left.
    fn works_on_accepted(&self) -> Option<usize> {
        let mut runs = self.runs.values();
        let works = |run: &&Run| {
            run.is_taken && run.session.is_none() && run.stage == Stage::Work && run.letter.budget >= LONG
        };
        runs.find(works).map(|run| run.process).filter(|process| self.runs(*process))
    }

    /// A leader, and its session, that awaits the reply of a service that nobody runs, for a handler.
    fn awaits_nobody(&self) -> Option<(usize, SessionId)> {
        let is_vain = |fate: &&Fate| {
            let is_open = fate.sent.is_some() && fate.committed.is_some() && fate.settled.is_none();
            is_open && fate.letter.way == Way::Nobody && fate.letter.handled
        };
        let service = self.book.fates.values().find(is_vain)?.service;
        let session = self.database.leader(Service(service))?;
        let leads = |process: &Process| matches!(process.lead, Lead::Leads(of, _) if of == session);
        self.processes.iter().position(leads).map(|process| (process, session))
    }

    /// The session of a leader that will have to say itself that nobody has answered is ended by the
    /// server, and the leader does not hear of it for long.
    pub(super) fn end_unheard(&mut self) {
        let Some((_, session)) = self.awaits_nobody() else { return };
        self.note(format_args!("{session:?} is ended, and its client does not hear of it"));
        self.cut_line(session, true);
        self.database.terminate(session);
        self.sweep();
        self.scheduler.after(UNHEARD, Event::Silent(session));
    }

    /// The place in the log from which on a standby lacks it, if that takes away a message whose reply
    /// is at its handler, and whose id is among the next ones that are given out.
    pub(super) fn loses_handled(&self) -> Option<usize> {
        let mut at_work = self.handlers.values();
        at_work.find_map(|handler| {
            let service = Service(self.processes[handler.process].service);
            let (place, first) = self.database.last_ids(service)?;
            let is_next = (first..first + NEXT).contains(&handler.settled.settlement.id);
            is_next.then_some(place)
        })
    }
}
