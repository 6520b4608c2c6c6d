//! Reply handlers in SQL: who names them, and what a leader knows of them.

use std::sync::{Arc, Mutex, PoisonError};

use tpro_dispatcher::core::Settled;
use tpro_wire::Target;

use super::{
    World,
    event::Event,
    names::SERVICES,
    plan::{Naming, may_be_named},
};
use crate::postgres::{Answer, Callbacks, Reply, Service, Statement, Step};

/// The method whose replies may have one.
const METHOD: &str = "batched";

/// The reply handlers in SQL that a leader knows.
#[derive(Clone, Default)]
pub struct Known(Arc<Mutex<Callbacks>>);

impl Known {
    fn last(&self) -> Callbacks {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if replies of this target have one.
    pub fn has(&self, target: &Target) -> bool {
        is_named(&self.last(), target)
    }

    /// The number by which outcomes are written without handlers; none if one of them has one.
    pub fn number_for(&self, batch: &[Settled]) -> Option<i64> {
        let known = self.last();
        let has = |settled: &Settled| !settled.is_tried && is_named(&known, &settled.settlement.target);
        (!batch.iter().any(has)).then_some(known.number)
    }

    /// They were read.
    pub fn read(&self, callbacks: Callbacks) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = callbacks;
    }
}

/// True if replies of this target have a reply handler in SQL.
pub fn is_named(callbacks: &Callbacks, target: &Target) -> bool {
    let of = SERVICES.iter().position(|name| *name == target.service());
    target.method_name() == METHOD && of.is_some_and(|of| callbacks.has(of))
}

impl World {
    /// The changes of the plan are to come.
    pub(super) fn plan_namings(&mut self) {
        for (at, naming) in self.plan.namings.iter().enumerate() {
            self.scheduler.at(naming.at, Event::Name(at));
        }
    }

    /// Somebody names reply handlers. Who finds no database does not come again.
    pub(super) fn name_callbacks(&mut self, at: usize) {
        if !self.database_up {
            return;
        }
        let Naming { service, targets, .. } = self.plan.namings[at];
        let now = self.now();
        let session = self.database.connect(now);
        let mut step =
            self.database.execute(session, Statement::NameCallbacks(Service(service), targets), now);
        while step == Step::Waits {
            step = self.database.resume(session, now);
        }
        self.note(format_args!("functions handle the replies of {targets:b} to {service}: {step:?}"));
        self.database.hang_up(session);
    }

    /// The replies that this statement would write without a try of their function, in words.
    pub(super) fn settles_past_handlers(&self, statement: &Statement) -> Vec<String> {
        let Some((service, replies)) = statement.settles() else { return Vec::new() };
        let callbacks = self.database.callbacks(service);
        let is_past = |reply: &&Reply| {
            let fate = self.book.fates.get(&reply.uid);
            let is_named =
                fate.is_some_and(|fate| may_be_named(&fate.letter) && callbacks.has(fate.letter.target));
            is_named && !self.book.handed.contains(&reply.uid)
        };
        let past = replies.iter().filter(is_past);
        past.map(|reply| format!("reply {} was written past its handler", reply.mq_id)).collect()
    }

    /// Notes them, if they were written.
    pub(super) fn note_past_handlers(&mut self, past: Vec<String>, step: &Step) {
        if !matches!(step, Step::Waits | Step::Done(Err(_) | Ok(Answer::Count(0)))) {
            self.book.broken.extend(past);
        }
    }
}
