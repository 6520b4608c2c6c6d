//! The transactional way: inbox row, effect and outcome are one transaction.
//!
//! The product's verdict (`tpro_service::inbox::verdict`) decides about a delivery.

use std::{borrow::Cow, sync::Arc, time::Duration};

use tpro_runtime::plant;
use tpro_service::inbox::{
    question::First,
    run_limit::{RunLimit, may_begin, may_count},
    verdict::{Bid, Known, LastRun, Owner as Of, Refusal, Step, Taken, Verdict},
};

use super::{
    World,
    database::passes,
    event::{Event, Owner},
    line::Ended,
    plan::Way,
    run::{Outcome, Run, Stage},
};
use crate::postgres::{self, Answer, Service, SessionId, SqlState, Statement, Taking};

/// The longest wait of an accept for another transaction that has the message in hand.
const PATIENCE: Duration = Duration::from_millis(50);

impl World {
    pub(super) fn limit(&self) -> RunLimit {
        RunLimit::new(self.plan.knobs.runs)
    }

    /// Another try of a run, in a transaction of its own.
    pub(super) fn begin_try(&mut self, run: u64) {
        let Some(process) = self.runs.get(&run).map(|run| run.process) else { return };
        let session = self.connect(Owner::Run(run), Some(process));
        let now = self.now();
        let Some(at_work) = self.runs.get_mut(&run) else { return };
        at_work.session = session;
        at_work.stage = Stage::Begin;
        at_work.bid = Bid::new(true);
        match session {
            Some(session) => {
                let left = at_work.left(now);
                self.database.set_timeouts(session, Some(PATIENCE), Some(left), Some(left));
                self.ask(session, Statement::Begin);
            }
            None => self.try_again(run),
        }
    }

    pub(super) fn run_hears(&mut self, run: u64, session: SessionId, ended: Ended) {
        let Some(at_work) = self.runs.get_mut(&run).filter(|it| it.session == Some(session)) else { return };
        let stage = at_work.stage;
        let answer = match ended.result {
            Ok(answer) => answer,
            Err(SqlState::LOCK_NOT_AVAILABLE) if stage == Stage::Accept => {
                let step = at_work.bid.taken(Taken::Open);
                return self.step(run, session, step, None);
            }
            Err(state) if passes(state) => return self.try_again(run),
            Err(state) => unreachable!("no statement of a run fails with {state:?}"),
        };
        match (stage, answer) {
            (Stage::Begin, _) => self.take(run, session),
            (Stage::Accept, Answer::Uids(taken)) => {
                let taken = if taken.is_empty() { Taken::Before } else { Taken::Ours };
                let step = at_work.bid.taken(taken);
                self.step(run, session, step, None);
            }
            (Stage::Known, Answer::Known(known)) => {
                let limit = self.limit();
                let Some((known, at_work)) = known.first().zip(self.runs.get_mut(&run)) else { return };
                let step = at_work.bid.judge(&facts(known, at_work), limit);
                self.step(run, session, step, known.answer.clone());
            }
            (Stage::Counted, Answer::Number(counted)) => self.on_counted(run, session, counted as i32),
            (Stage::Count, Answer::Maybe(counted)) => {
                let begins = may_begin(counted.map(|counted| counted as i32), self.limit());
                let Some(at_work) = self.runs.get_mut(&run) else { return };
                at_work.is_counted = true;
                at_work.instead = (!begins).then(Self::exhausted);
                at_work.session = None;
                self.close(session);
                self.begin_try(run);
            }
            (Stage::Effect, _) => self.work(run),
            (Stage::Finish, Answer::Uids(_)) => {
                at_work.stage = Stage::Commit;
                self.ask(session, Statement::Commit);
            }
            (Stage::Commit, Answer::Done) => {
                if let Some(outcome) = at_work.outcome.take() {
                    self.end_run(run, &outcome);
                }
            }
            (Stage::Commit, Answer::RolledBack) | (Stage::Undo, _) => self.try_again(run),
            // ROLLBACK before the count.
            (Stage::Counted, _) => {}
            (stage, answer) => unreachable!("{answer:?} in {stage:?}"),
        }
    }

    /// Takes the run that the bid is for.
    fn take(&mut self, run: u64, session: SessionId) {
        let now = self.now();
        let Some(at_work) = self.runs.get_mut(&run) else { return };
        at_work.stage = Stage::Accept;
        let taking = taking(at_work, at_work.bid.run(), now);
        let process = &self.processes[at_work.process];
        let statement = Statement::Accept(Service(process.service), process.key(), vec![taking]);
        self.ask(session, statement);
    }

    /// Does what the verdict says.
    fn step(&mut self, run: u64, session: SessionId, step: Step, answer: Option<Arc<str>>) {
        let Some(at_work) = self.runs.get_mut(&run) else { return };
        let process = &self.processes[at_work.process];
        let (service, key) = (Service(process.service), process.key());
        match step {
            Step::Take => self.take(run, session),
            Step::Look => {
                at_work.stage = Stage::Known;
                let uid = at_work.uid;
                self.ask(session, Statement::Known(service, key, vec![uid]));
            }
            Step::End(Verdict::Done { .. }) => {
                let outcome = Outcome::Stored(answer.as_deref().unwrap_or_default().to_owned());
                self.end_run(run, &outcome);
            }
            Step::End(Verdict::Refused(refusal)) => self.end_run_as(run, refusal),
            Step::End(Verdict::Exhausted { run: number, .. }) => {
                at_work.number = number;
                let outcome = Self::exhausted();
                self.store(run, session, outcome);
            }
            Step::End(Verdict::Run(number)) => {
                at_work.number = number;
                if !at_work.is_counted {
                    // Without this transaction: the count is another one.
                    at_work.stage = Stage::Counted;
                    let uid = at_work.uid;
                    self.ask(session, Statement::Rollback);
                    self.ask(session, Statement::Begun(service, uid));
                    return;
                }
                at_work.is_taken = true;
                if let Some(outcome) = at_work.instead.take() {
                    return self.store(run, session, outcome);
                }
                if at_work.letter.fails {
                    return self.work(run);
                }
                at_work.stage = Stage::Effect;
                let uid = at_work.uid;
                self.ask(session, Statement::Effect(service, uid));
            }
        }
    }

    /// So many runs were counted. A suspect is counted only when no other runs in this copy.
    fn on_counted(&mut self, run: u64, session: SessionId, counted: i32) {
        let (now, limit) = (self.now(), self.limit());
        let Some(at_work) = self.runs.get_mut(&run) else { return };
        let process = &mut self.processes[at_work.process];
        if !may_count(counted, false, limit) {
            if process.suspect.is_some_and(|suspect| suspect != run) {
                return self.end_run_as(run, Refusal::Suspect);
            }
            process.suspect = Some(run);
        }
        at_work.stage = Stage::Count;
        let taking = taking(at_work, 0, now);
        let statement = Statement::CountRepeat(Service(process.service), process.key(), taking);
        self.ask(session, statement);
    }

    /// The handler works.
    pub(super) fn work(&mut self, run: u64) {
        let Some(done) = self.handler_begins(run) else { return };
        if let Some(at_work) = self.runs.get_mut(&run) {
            at_work.stage = Stage::Work;
        }
        self.scheduler.at(done, Event::Run(run));
    }

    /// A run that has worked, or paused, goes on.
    pub(super) fn go_on_with_run(&mut self, run: u64) {
        let Some(at_work) = self.runs.get(&run) else { return };
        match at_work.stage {
            Stage::Work => {
                let (outcome, session) = (self.outcome_of(at_work, run), at_work.session);
                let is_kept = at_work.letter.way != Way::Stateless;
                if plant::is_planted("answer before outcome") && is_kept {
                    self.answer_early(run, &outcome);
                }
                match session {
                    Some(session) => self.store(run, session, outcome),
                    None if is_kept => self.finish(run, outcome),
                    None => self.end_run(run, &outcome),
                }
            }
            Stage::Pause => self.begin_try(run),
            _ => {}
        }
    }

    /// Stores an outcome in the transaction of the run.
    fn store(&mut self, run: u64, session: SessionId, outcome: Outcome) {
        let Some(at_work) = self.runs.get_mut(&run) else { return };
        at_work.stage = Stage::Finish;
        let service = Service(self.processes[at_work.process].service);
        let (uid, number) = (at_work.uid, at_work.number);
        let answer = outcome.to_stored().into();
        at_work.outcome = Some(outcome);
        let stored = postgres::Outcome { uid, run: number, answer };
        self.ask(session, Statement::Finish(service, vec![stored]));
    }

    pub(super) fn run_lost(&mut self, run: u64, session: SessionId) {
        if self.runs.get(&run).is_some_and(|run| run.session == Some(session)) {
            if let Some(at_work) = self.runs.get_mut(&run) {
                at_work.session = None;
            }
            self.try_again(run);
        }
    }

    /// The database has failed the run in a way that passes.
    fn try_again(&mut self, run: u64) {
        let Some(at_work) = self.runs.get_mut(&run) else { return };
        if let Some(session) = at_work.session
            && at_work.stage != Stage::Undo
        {
            at_work.stage = Stage::Undo;
            self.ask(session, Statement::Rollback);
            return;
        }
        at_work.stage = Stage::Pause;
        at_work.tries += 1;
        let most = Duration::from_millis(5) * (1 << at_work.tries.min(7));
        if let Some(session) = at_work.session.take() {
            self.close(session);
        }
        let most = most.min(Duration::from_millis(500)).as_micros() as u64;
        let pause = most / 2 + self.scheduler.random().below(most / 2);
        self.scheduler.after(Duration::from_micros(pause), Event::Run(run));
    }
}

/// The row that takes a run.
pub fn taking(run: &Run, number: i32, now: crate::time::Time) -> Taking {
    Taking {
        uid: run.uid,
        run: number,
        source: run.question.source.as_deref().map(Arc::from),
        target: run.question.target.as_str().into(),
        attempt: i32::try_from(run.attempt).unwrap_or(i32::MAX),
        budget: run.left(now),
        proof: Some(run.question.proof().into()),
    }
}

/// The facts about a message of the row of `known.sql`.
pub fn facts(known: &postgres::Known, run: &Run) -> Known {
    let first = known.first.as_ref().map(|(source, target, proof)| First {
        source: source.as_deref(),
        target,
        proof: proof.as_deref().map(Cow::Borrowed),
        is_awaited: known.is_awaited,
    });
    let owner = match known.ours {
        true => Of::ThisCopy,
        false => Of::AnotherCopy { is_present: known.is_present },
    };
    Known {
        is_repeat: first.is_none_or(|first| run.question.repeats(&first)),
        is_done: known.answer.is_some(),
        last: known.run.map(|number| LastRun { number, owner, has_time: known.has_time }),
        // No handler of the world puts a message off.
        put_off: 0,
    }
}
