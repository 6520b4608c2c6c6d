//! The inbox of a copy: accepts and outcomes of runs of the default way, written together.
//!
//! The order is the product's (`tpro_service::inbox`): outcomes, then accepts, in one transaction;
//! then it is looked up what there was for the others.

use std::time::Duration;

use tpro_service::inbox::verdict::{Step, Taken, Verdict};

use super::{
    World,
    event::{Event, Owner},
    inbox::{Finish, Stage},
    line::Ended,
    own::{facts, taking},
    run::{Outcome, Stage as RunStage},
};
use crate::postgres::{self, Answer, Service, SessionId, SqlState, Statement};

/// An accept waits so long for another transaction that has the message in hand.
const PATIENCE: Duration = Duration::from_millis(50);

impl World {
    pub(super) fn open_inbox(&mut self, at: usize, turn: u64) {
        if self.processes[at].turn != turn || !self.runs(at) {
            return;
        }
        if self.processes[at].inbox.session.is_some() {
            if self.processes[at].inbox.stage == Stage::Paused {
                self.processes[at].inbox.stage = Stage::Idle;
                self.write_inbox(at);
            }
            return;
        }
        let Some(session) = self.connect(Owner::Writer(at), Some(at)) else {
            let pause = Duration::from_micros(self.scheduler.random().between(25_000, 1_000_000));
            self.scheduler.after(pause, Event::OpenInbox(at, turn));
            return;
        };
        self.database.set_timeouts(session, Some(PATIENCE), None, None);
        let now = self.now();
        let inbox = &mut self.processes[at].inbox;
        (inbox.session, inbox.since) = (Some(session), now);
        self.appear(at, session);
    }

    fn appear(&mut self, at: usize, session: SessionId) {
        let process = &mut self.processes[at];
        process.inbox.stage = Stage::Present;
        let statement = Statement::Present(Service(process.service), process.key());
        self.ask(session, statement);
    }

    pub(super) fn inbox_lost(&mut self, at: usize, session: SessionId) {
        let process = &mut self.processes[at];
        if process.inbox.session != Some(session) {
            return;
        }
        let inbox = &mut process.inbox;
        (inbox.session, inbox.is_present, inbox.stage) = (None, false, Stage::Idle);
        // Nobody knows whether it was committed.
        inbox.accepts.iter_mut().for_each(|(_, bid)| bid.lost());
        let turn = process.turn;
        let pause = Duration::from_micros(self.scheduler.random().between(25_000, 100_000));
        self.scheduler.after(pause, Event::OpenInbox(at, turn));
    }

    /// A run bids.
    pub(super) fn bid(&mut self, run: u64) {
        let Some(at_work) = self.runs.get(&run) else { return };
        let (at, bid) = (at_work.process, at_work.bid);
        self.processes[at].inbox.next_accepts.push((run, bid));
        self.write_inbox(at);
    }

    /// The outcome of a run is to be stored.
    pub(super) fn finish(&mut self, run: u64, outcome: Outcome) {
        let Some(at_work) = self.runs.get_mut(&run) else { return };
        let (at, uid, number, received) = (at_work.process, at_work.uid, at_work.number, at_work.received);
        at_work.stage = RunStage::Inbox;
        let answer = outcome.to_stored();
        at_work.outcome = Some(outcome);
        self.processes[at].inbox.next_finishes.push(Finish { run, uid, received, number, answer });
        self.write_inbox(at);
    }

    /// Begins to write what is collected, if nothing is being written.
    fn write_inbox(&mut self, at: usize) {
        let inbox = &mut self.processes[at].inbox;
        let Some(session) = inbox.session.filter(|_| inbox.stage == Stage::Idle) else { return };
        if !inbox.is_present {
            return self.appear(at, session);
        }
        let (mut accepts, mut finishes) =
            (std::mem::take(&mut inbox.next_accepts), std::mem::take(&mut inbox.next_finishes));
        inbox.accepts.append(&mut accepts);
        inbox.finishes.append(&mut finishes);
        // A message that nobody waits for any more is not taken.
        let runs = &self.runs;
        inbox.accepts.retain(|(run, _)| runs.contains_key(run));
        if inbox.accepts.is_empty() && inbox.finishes.is_empty() {
            return;
        }
        inbox.stage = Stage::Begin;
        self.ask(session, Statement::Begin);
    }

    pub(super) fn inbox_hears(&mut self, at: usize, session: SessionId, ended: Ended) {
        if self.processes[at].inbox.session != Some(session) {
            return;
        }
        let service = Service(self.processes[at].service);
        let answer = match ended.result {
            Ok(answer) => answer,
            Err(SqlState::LOST | SqlState::ADMIN_SHUTDOWN) => {
                self.close(session);
                return self.inbox_lost(at, session);
            }
            // Tried again.
            Err(_) => {
                self.processes[at].inbox.stage = Stage::Undo;
                self.ask(session, Statement::Rollback);
                return;
            }
        };
        let inbox = &mut self.processes[at].inbox;
        match (inbox.stage, answer) {
            (Stage::Present, Answer::Flag(is_present)) => {
                inbox.is_present = is_present;
                // Without the lock an earlier session of ours has not ended for the server yet.
                inbox.stage = Stage::Idle;
                if is_present {
                    return self.write_inbox(at);
                }
                self.close(session);
                self.inbox_lost(at, session);
            }
            (Stage::Begin, _) => {
                inbox.stage = Stage::Finish;
                let here = inbox.finishes.iter().all(|finish| finish.received >= inbox.since);
                let outcomes = inbox.finishes.iter();
                let outcomes = outcomes.map(|finish| postgres::Outcome {
                    uid: finish.uid,
                    run: finish.number,
                    answer: finish.answer.as_str().into(),
                });
                let outcomes = outcomes.collect();
                let statement = match here {
                    true => Statement::Finish(service, outcomes),
                    false => Statement::FinishAccepted(service, self.processes[at].key(), outcomes),
                };
                self.ask(session, statement);
            }
            (Stage::Finish, Answer::Uids(stored)) => {
                inbox.stored = stored;
                inbox.stage = Stage::Accept;
                let now = self.now();
                let process = &mut self.processes[at];
                let runs = &self.runs;
                process.inbox.accepts.retain(|(run, _)| runs.contains_key(run));
                let takings = process
                    .inbox
                    .accepts
                    .iter()
                    .filter_map(|(run, bid)| Some(taking(runs.get(run)?, bid.run(), now)));
                let statement = Statement::Accept(service, process.key(), takings.collect());
                self.ask(session, statement);
            }
            (Stage::Accept, Answer::Uids(taken)) => {
                inbox.taken = taken;
                inbox.stage = Stage::Commit;
                self.ask(session, Statement::Commit);
            }
            (Stage::Commit, Answer::Done) => self.inbox_written(at, session),
            (Stage::Beaten, Answer::Outcomes(outcomes)) => {
                for finish in std::mem::take(&mut inbox.finishes) {
                    match outcomes.iter().find(|(uid, _)| *uid == finish.uid) {
                        Some((_, answer)) => {
                            self.end_run(finish.run, &Outcome::Stored(answer.to_string()));
                        }
                        // The accept was lost: nobody is answered.
                        None => drop(self.leave(finish.run)),
                    }
                }
                self.look_up(at, session);
            }
            (Stage::Known, Answer::Known(known)) => self.judge(at, &known),
            (Stage::Undo, _) => {
                inbox.stage = Stage::Paused;
                let turn = self.processes[at].turn;
                let pause = Duration::from_micros(self.scheduler.random().between(5_000, 50_000));
                self.scheduler.after(pause, Event::OpenInbox(at, turn));
            }
            _ => {
                self.close(session);
                self.inbox_lost(at, session);
            }
        }
    }

    /// The batch is committed.
    fn inbox_written(&mut self, at: usize, session: SessionId) {
        let inbox = &mut self.processes[at].inbox;
        let (stored, taken) = (std::mem::take(&mut inbox.stored), std::mem::take(&mut inbox.taken));
        let finishes = std::mem::take(&mut inbox.finishes);
        let (done, beaten): (Vec<_>, Vec<_>) =
            finishes.into_iter().partition(|finish| stored.contains(&finish.uid));
        inbox.finishes = beaten;
        let mut begin = Vec::new();
        for (run, bid) in std::mem::take(&mut inbox.accepts) {
            let Some(uid) = self.runs.get(&run).map(|run| run.uid) else { continue };
            let is_ours = if taken.contains(&uid) { Taken::Ours } else { Taken::Before };
            match bid.taken(is_ours) {
                Step::End(Verdict::Run(number)) => begin.push((run, number)),
                _ => inbox.accepts.push((run, bid)),
            }
        }
        for finish in done {
            if let Some(outcome) = self.runs.get_mut(&finish.run).and_then(|run| run.outcome.take()) {
                self.end_run(finish.run, &outcome);
            }
        }
        for (run, number) in begin {
            self.begin_batched(run, number);
        }
        let inbox = &mut self.processes[at].inbox;
        if inbox.finishes.is_empty() {
            return self.look_up(at, session);
        }
        inbox.stage = Stage::Beaten;
        let uids = inbox.finishes.iter().map(|finish| finish.uid).collect();
        let statement = Statement::Outcomes(Service(self.processes[at].service), uids);
        self.ask(session, statement);
    }

    /// Looks up what is known of those that were taken before.
    fn look_up(&mut self, at: usize, session: SessionId) {
        let process = &mut self.processes[at];
        let runs = &self.runs;
        let uids = process.inbox.accepts.iter().filter_map(|(run, _)| Some(runs.get(run)?.uid));
        let uids: Vec<u128> = uids.collect();
        if uids.is_empty() {
            process.inbox.stage = Stage::Idle;
            return self.write_inbox(at);
        }
        process.inbox.stage = Stage::Known;
        let statement = Statement::Known(Service(process.service), process.key(), uids);
        self.ask(session, statement);
    }

    fn judge(&mut self, at: usize, known: &[postgres::Known]) {
        let limit = self.limit();
        let accepts = std::mem::take(&mut self.processes[at].inbox.accepts);
        self.processes[at].inbox.stage = Stage::Idle;
        for (run, mut bid) in accepts {
            let Some(at_work) = self.runs.get_mut(&run) else { continue };
            let Some(known) = known.iter().find(|known| known.uid == at_work.uid) else {
                self.processes[at].inbox.accepts.push((run, bid));
                continue;
            };
            match bid.judge(&facts(known, at_work), limit) {
                Step::Take | Step::Look => self.processes[at].inbox.accepts.push((run, bid)),
                Step::End(Verdict::Run(number)) => self.begin_batched(run, number),
                Step::End(Verdict::Done { .. }) => {
                    let answer = known.answer.as_deref().unwrap_or_default().to_owned();
                    self.end_run(run, &Outcome::Stored(answer));
                }
                Step::End(Verdict::Refused(refusal)) => self.suspect(run, refusal),
                Step::End(Verdict::Exhausted { run: number, .. }) => {
                    at_work.number = number;
                    self.finish(run, Self::exhausted());
                }
            }
        }
        self.write_inbox(at);
    }

    /// A suspect may run if no other does in this copy.
    fn suspect(&mut self, run: u64, refusal: tpro_service::inbox::verdict::Refusal) {
        use tpro_service::inbox::verdict::{Bid, Refusal};
        let Some(at_work) = self.runs.get_mut(&run) else { return };
        let process = &mut self.processes[at_work.process];
        if refusal == Refusal::Suspect && process.suspect.is_none() {
            process.suspect = Some(run);
            at_work.bid = Bid::new(true);
            process.inbox.next_accepts.push((run, at_work.bid));
            return;
        }
        self.end_run_as(run, refusal);
    }

    fn begin_batched(&mut self, run: u64, number: i32) {
        let Some(at_work) = self.runs.get_mut(&run) else { return };
        (at_work.number, at_work.is_taken) = (number, true);
        let Some(done) = self.handler_begins(run) else { return };
        if let Some(at_work) = self.runs.get_mut(&run) {
            at_work.stage = RunStage::Work;
        }
        self.scheduler.at(done, Event::Run(run));
    }
}
