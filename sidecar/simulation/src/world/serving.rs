//! A copy that serves: it takes requests and answers them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tpro_service::inbox::{
    question::Question,
    run_limit::must_count,
    verdict::{self, Bid, Refusal},
};
use tpro_wire::{ReplyState, Request, RequestHeaders, Target, error::code, headers};

use super::{
    World,
    clock::unix_ms,
    event::Event,
    names::names,
    plan::Way,
    rows,
    run::{Back, Outcome, Run, Stage},
};
use crate::{nats::Message, time::Time};

/// The budget of a message that names none.
const UNSAID_BUDGET: Duration = Duration::from_secs(30);
/// The inbox knows messages of so long.
const WINDOW: Duration = Duration::from_secs(24 * 3_600);
/// A time that the database has said so recently is not asked for again.
const JUST_NOW: Duration = Duration::from_secs(1);
/// The pause before it is said again that a message is at work.
const SAY_SO: Duration = Duration::from_secs(2);
/// Repeats of a message that may wait for its answer.
const MOST_JOINED: usize = 16;

impl World {
    /// A request has come to a copy.
    pub(super) fn on_request(&mut self, at: usize, message: &Message) {
        let pairs = message.headers.iter().map(|(name, value)| (&**name, &**value));
        let asked = RequestHeaders::read(pairs);
        let mut back = Back { subject: message.reply.clone(), id: None };
        if !tpro_runtime::version::understood().contain(asked.version) {
            return self.say_state(at, &back, ReplyState::Unsupported);
        }
        let Some(uid) = asked.uid.map(|uid| rows::number(&uid)) else { return };
        let Some(letter) = self.book.fates.get(&uid).map(|fate| fate.letter.clone()) else { return };
        if self.processes[at].at_work >= self.plan.knobs.handlers {
            self.note(format_args!("process {at} has too much to do"));
            return self.say_state(at, &back, ReplyState::Overloaded);
        }
        let (Ok(target), Ok(request)) = (Target::parse(&message.subject), Request::parse(&message.payload))
        else {
            return;
        };
        back.id = request.id;
        let now = self.now();
        if self.is_stale(at, uid) {
            return self.say_state(at, &back, ReplyState::Stale);
        }
        let payload = Bytes::copy_from_slice(&message.payload);
        let params = request.params.get();
        let question =
            Question::new(rows::uid(uid), &asked, &target, message.reply.as_deref(), &payload, params);
        if letter.way != Way::Stateless
            && let Some(run) = self.processes[at].flight.get(&uid).copied()
        {
            return self.join(at, run, &question, back);
        }
        let budget = asked.budget_ms.filter(|ms| *ms > 0).map_or(UNSAID_BUDGET, Duration::from_millis);
        self.next_run += 1;
        let run = self.next_run;
        let way = letter.way;
        let is_transactional = way == Way::Transactional || way == Way::Event;
        self.note(format_args!("process {at} takes {uid:x} as {run}, attempt {}", asked.attempt));
        self.runs.insert(
            run,
            Run {
                process: at,
                uid,
                question,
                backs: vec![back],
                letter,
                attempt: asked.attempt,
                received: now,
                deadline: now + budget,
                is_taken: false,
                is_counted: !must_count(asked.attempt),
                instead: None,
                stage: Stage::Inbox,
                bid: Bid::new(is_transactional),
                number: 0,
                session: None,
                outcome: None,
                tries: 0,
            },
        );
        let process = &mut self.processes[at];
        if way != Way::Stateless {
            process.flight.insert(uid, run);
        }
        process.at_work += 1;
        self.scheduler.at(now + budget, Event::Overdue(run));
        self.scheduler.after(SAY_SO, Event::SayWorking(run));
        match way {
            Way::Transactional | Way::Event => self.begin_try(run),
            Way::Stateless => self.work(run),
            Way::Batched | Way::Nobody => self.bid(run),
        }
    }

    /// True if the inbox does not reach to the time of a message. The database is asked before that
    /// is said.
    fn is_stale(&mut self, at: usize, uid: u128) -> bool {
        let sent = rows::uid(uid).unix_ms();
        [super::ASK_TIME, JUST_NOW]
            .into_iter()
            .all(|age| verdict::is_stale(sent, unix_ms(self.clock_of(at, age)), WINDOW))
    }

    /// A message is at work already: a repeat of it waits for the same answer.
    fn join(&mut self, at: usize, run: u64, question: &Question, back: Back) {
        let Some(at_work) = self.runs.get_mut(&run) else { return };
        let is_repeat = question.repeats(&at_work.question.as_first());
        match verdict::meet(is_repeat, at_work.is_taken) {
            None => {
                if at_work.backs.len() <= MOST_JOINED {
                    at_work.backs.push(back);
                }
            }
            Some(Refusal::Mismatch) => {
                self.answer(at, &back, &Outcome::Error(code::INVALID_REQUEST, "another request"));
            }
            Some(_) => self.say_state(at, &back, ReplyState::Overloaded),
        }
    }

    /// Sends a state, which is no answer.
    fn say_state(&mut self, at: usize, back: &Back, state: ReplyState) {
        let mut map = vec![(headers::STATE.into(), state.as_str().into()), self.responder(at)];
        if state == ReplyState::Unsupported {
            map.push((headers::VERSIONS.into(), tpro_runtime::version::understood().to_string().into()));
        }
        if let Some(subject) = back.subject.clone() {
            self.say(at, Message { subject, headers: map, ..Message::default() });
        }
    }

    fn answer(&mut self, at: usize, back: &Back, outcome: &Outcome) {
        let headers = vec![self.responder(at)];
        if let (Some(subject), Some(payload)) = (back.subject.clone(), outcome.answer(back.id.as_ref())) {
            self.say(at, Message { subject, headers, payload: payload.into(), ..Message::default() });
        }
    }

    fn responder(&self, at: usize) -> (Arc<str>, Arc<str>) {
        let process = &self.processes[at];
        let text = format!("{}/1.0.0/{}", names(process.service).service, process.copy);
        (headers::RESPONDER.into(), text.into())
    }

    /// A run is over, with an outcome for all who wait.
    pub(super) fn end_run(&mut self, run: u64, outcome: &Outcome) {
        let Some(ended) = self.leave(run) else { return };
        for back in &ended.backs {
            self.answer(ended.process, back, outcome);
        }
    }

    /// All who wait are answered, though the outcome is not stored: a fault that tests plant.
    pub(super) fn answer_early(&mut self, run: u64, outcome: &Outcome) {
        let Some(at_work) = self.runs.get(&run) else { return };
        let (process, backs) = (at_work.process, at_work.backs.clone());
        backs.iter().for_each(|back| self.answer(process, back, outcome));
    }

    /// A run is over, and all who wait are told this.
    pub(super) fn end_run_as(&mut self, run: u64, refusal: Refusal) {
        let Some(ended) = self.leave(run) else { return };
        self.note(format_args!("run {run} is refused: {refusal:?}"));
        let state = match refusal {
            Refusal::Mismatch => {
                let outcome = Outcome::Error(code::INVALID_REQUEST, "another request");
                return ended.backs.iter().for_each(|back| self.answer(ended.process, back, &outcome));
            }
            Refusal::Working => ReplyState::Working,
            Refusal::Suspect | Refusal::Unsure => ReplyState::Overloaded,
        };
        for back in &ended.backs {
            self.say_state(ended.process, back, state);
        }
    }

    /// Takes a run out; its session is closed.
    pub(super) fn leave(&mut self, run: u64) -> Option<Run> {
        let ended = self.runs.remove(&run)?;
        if let Some(session) = ended.session {
            self.close(session);
        }
        let process = &mut self.processes[ended.process];
        process.at_work -= 1;
        process.flight.remove(&ended.uid);
        process.suspect.take_if(|suspect| *suspect == run);
        Some(ended)
    }

    /// The time of a run is over: what it did is undone, and nothing is stored.
    pub(super) fn on_overdue(&mut self, run: u64) {
        self.end_run(run, &Outcome::Error(code::TIMEOUT, "the handler was stopped: its time was over"));
    }

    pub(super) fn say_working(&mut self, run: u64) {
        let Some(at_work) = self.runs.get(&run) else { return };
        let (process, backs) = (at_work.process, at_work.backs.clone());
        // A copy that has lost its database says nothing.
        if self.processes[process].inbox.session.is_some() {
            for back in &backs {
                self.say_state(process, back, ReplyState::Working);
            }
        }
        self.scheduler.after(SAY_SO, Event::SayWorking(run));
    }

    /// The outcome of a handler that has done its work.
    pub(super) fn outcome_of(&self, run: &Run, id: u64) -> Outcome {
        match run.letter.fails {
            true => Outcome::Error(7, "it fails"),
            false if run.letter.bad => Outcome::Result(r#""\u0000""#.to_owned()),
            false => Outcome::Result(format!(r#"{{"run":{id},"number":{}}}"#, run.number)),
        }
    }

    /// The outcome of a message whose handler began too often.
    pub(super) fn exhausted() -> Outcome {
        Outcome::Error(code::INTERNAL, "the service began and did not finish")
    }

    /// A handler begins.
    pub(super) fn handler_begins(&mut self, run: u64) -> Option<Time> {
        let at_work = self.runs.get(&run)?;
        let done = self.now() + at_work.letter.work;
        let uid = at_work.uid;
        if let Some(fate) = self.book.fates.get_mut(&uid) {
            fate.runs += 1;
        }
        Some(done)
    }
}
