//! A batch of outcomes on its way into `mq_reply`, statement by statement.
//!
//! A value that PostgreSQL does not take settles its message as an error, and only that one: the
//! batch is halved until the value is found. So is an outcome whose row another transaction has in
//! hand, which is kept for later, as is one that a trigger has swallowed: others may pass it.
//! Outcomes that the server has no room for, or refuses, are tried again until they are written;
//! nothing more is sent meanwhile.

use std::{collections::HashSet, ops::Range};

use tpro_runtime::{failpoint, telemetry::Span};
use tpro_wire::{
    error::{RpcError, code},
    status::Status,
};

use super::{
    settled::Settled,
    settler::{Batch, Written},
    stuck::Hold,
};

/// The failure of the statement that settles, where the session stays.
#[derive(Clone, Debug)]
pub struct Unwritten {
    /// Its kind.
    pub kind: Trouble,
    /// The SQLSTATE.
    pub sqlstate: String,
    /// The words of the server, without a value.
    pub text: String,
}

/// The kinds of failures of the statement that settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Another transaction has the row's reply in hand: the handler of a leader before us, or an
    /// operator who cancels.
    Held,
    /// An outcome has a value that PostgreSQL does not take.
    BadValue,
    /// A constraint, a missing partition, a right, or a trigger.
    Refused,
    /// The server lacks room.
    Shortage,
    /// There are reply handlers in SQL that were not known when the outcomes were sorted.
    NewHandlers,
}

/// The reason why it is asked which outcomes of a part have no reply.
#[derive(Clone, Copy, Debug)]
enum Doubt {
    /// Fewer rows were written than asked for.
    Fewer,
    /// All of them were refused.
    Refused,
}

/// A batch that is being written.
pub struct Writing {
    batch: Vec<Settled>,
    /// It is one outcome that was held before.
    retry: bool,
    /// The part that is being written, or asked about.
    part: Range<usize>,
    doubt: Doubt,
    /// Parts that are still to be written, the next one last.
    parts: Vec<Range<usize>>,
    /// The outcome that took the place of one with a bad value.
    replaced: Option<usize>,
    held: Vec<usize>,
    /// Outcomes that may have a reply handler now.
    again: Vec<usize>,
    swallowed: Vec<i64>,
    /// Parts that cannot be written for now, and why.
    kept: Vec<Range<usize>>,
    why: String,
    /// Its word that nothing can be written.
    hold: Option<Hold>,
    /// The spans of the batch.
    open: Vec<Span>,
}

/// The next step of a batch.
pub enum Step {
    /// Write the outcomes of [`Writing::part`].
    Write(Box<Writing>),
    /// Ask which of [`Writing::part`] have no reply.
    Ask(Box<Writing>),
    /// Wait a moment, and go on with [`Writing::resume`].
    Pause(Box<Writing>),
    /// It is written, but for what is held; its word that nothing can be written is over.
    Written(Written, Option<Hold>),
    /// The replacement of a bad value is one itself, in the words of the server.
    Broken(String),
}

impl Writing {
    /// Begins to write a batch; its spans end when it is written.
    pub(super) fn begin(batch: Batch, open: Vec<Span>) -> Box<Self> {
        failpoint::pass("dispatcher.before_settle");
        let Batch { outcomes, retry } = batch;
        Box::new(Self {
            part: 0..outcomes.len(),
            batch: outcomes,
            retry,
            doubt: Doubt::Fewer,
            parts: Vec::new(),
            replaced: None,
            held: Vec::new(),
            again: Vec::new(),
            swallowed: Vec::new(),
            kept: Vec::new(),
            why: String::new(),
            hold: None,
            open,
        })
    }

    /// The outcomes to be written now, or asked about.
    pub fn part(&self) -> &[Settled] {
        &self.batch[self.part.clone()]
    }

    /// The reason why nothing can be written, while it pauses.
    pub(super) fn why(&self) -> &str {
        &self.why
    }

    /// Its word that nothing can be written.
    pub(super) fn hold(&mut self) -> &mut Option<Hold> {
        &mut self.hold
    }

    /// The part was written: so many rows, or none.
    pub(super) fn tried(mut self: Box<Self>, result: Result<u64, Unwritten>) -> Step {
        let part = self.part.clone();
        let Unwritten { kind, sqlstate, text } = match result {
            Ok(rows) if rows == part.len() as u64 => return self.go_on(),
            // Some had a reply before, or a trigger has returned null, or a rule does something
            // instead.
            Ok(_) => {
                self.doubt = Doubt::Fewer;
                return Step::Ask(self);
            }
            Err(unwritten) => unwritten,
        };
        let is_one = part.len() == 1;
        match kind {
            Trouble::BadValue | Trouble::Held if !is_one => self.parts.extend(halves(part)),
            Trouble::Held => self.held.push(part.start),
            Trouble::BadValue if self.replaced == Some(part.start) => return Step::Broken(text),
            Trouble::BadValue => {
                refuse(&mut self.batch[part.start], &sqlstate);
                // Once: what takes its place is ours, and a fault in it must not go round for ever.
                self.replaced = Some(part.start);
                self.parts.push(part);
            }
            // The first that is refused is looked for, since the others may be written.
            Trouble::Refused if !is_one && self.kept.is_empty() => self.parts.extend(halves(part)),
            Trouble::Refused => {
                self.why = text;
                // Rows that are gone with their partition, or settled by others, need no reply.
                self.doubt = Doubt::Refused;
                return Step::Ask(self);
            }
            Trouble::Shortage => {
                self.why = text;
                self.kept.push(part);
            }
            // Nothing more of the batch is written: the other parts may have one, too. What is
            // refused is found out once more.
            Trouble::NewHandlers => {
                let rest = self.parts.drain(..).chain(self.kept.drain(..)).flatten();
                self.again.extend(part.chain(rest));
            }
        }
        self.go_on()
    }

    /// These of the part are there and have no reply.
    pub(super) fn missing(mut self: Box<Self>, ids: &[i64]) -> Step {
        let missing: HashSet<i64> = ids.iter().copied().collect();
        let mut parts: Vec<Range<usize>> = Vec::new();
        for at in self.part.clone().filter(|at| missing.contains(&self.batch[*at].settlement.id)) {
            match parts.last_mut() {
                Some(last) if last.end == at => last.end += 1,
                _ => parts.push(at..at + 1),
            }
        }
        match self.doubt {
            Doubt::Refused => self.kept.extend(parts),
            Doubt::Fewer => {
                for at in parts.into_iter().flatten() {
                    self.swallowed.push(self.batch[at].settlement.id);
                    self.held.push(at);
                }
            }
        }
        self.go_on()
    }

    /// Goes on after a pause.
    pub(super) fn resume(mut self: Box<Self>) -> Step {
        let mut kept = std::mem::take(&mut self.kept);
        self.parts.append(&mut kept);
        self.go_on()
    }

    fn go_on(mut self: Box<Self>) -> Step {
        if let Some(next) = self.parts.pop() {
            self.part = next;
            return Step::Write(self);
        }
        if !self.kept.is_empty() {
            let (replies, why) = (self.kept.iter().map(Range::len).sum::<usize>(), &self.why);
            tracing::warn!(replies, "replies cannot be written: {why}; trying again");
            return Step::Pause(self);
        }
        failpoint::pass("dispatcher.settled");
        let Self { batch, retry, held, again, swallowed, hold, open, .. } = *self;
        drop(open);
        let mut written = Written { done: Vec::new(), held: Vec::new(), again: Vec::new(), swallowed, retry };
        if held.is_empty() && again.is_empty() {
            return Step::Written(Written { done: batch, ..written }, hold);
        }
        let (held, again) = (HashSet::<usize>::from_iter(held), HashSet::<usize>::from_iter(again));
        for (at, settled) in batch.into_iter().enumerate() {
            match () {
                () if held.contains(&at) => written.held.push(settled),
                () if again.contains(&at) => written.again.push(settled),
                () => written.done.push(settled),
            }
        }
        Step::Written(written, hold)
    }
}

/// Both halves of a part, the first of them last.
fn halves(part: Range<usize>) -> [Range<usize>; 2] {
    let middle = part.start + part.len() / 2;
    [middle..part.end, part.start..middle]
}

/// The reply cannot be stored; that is the outcome then.
fn refuse(settled: &mut Settled, sqlstate: &str) {
    let Settled { settlement, language, .. } = settled;
    tracing::warn!(
        message.id = %settlement.uid, trace.id = %settlement.traceparent.trace_id_hex(), tpro.target = %settlement.target,
        sqlstate, "the reply cannot be stored as jsonb; settled as an error"
    );
    let text = format!("the reply is JSON that PostgreSQL cannot store (SQLSTATE {sqlstate})");
    settlement.status = Status::Error;
    settlement.result = None;
    settlement.error = Some(language.of_error(&RpcError::new(code::BAD_REPLY, text)).to_json());
    settlement.headers = None;
    settlement.responder = None;
}

#[cfg(test)]
mod tests {
    use tpro_wire::target::Target;

    use super::*;
    use crate::core::settled::settled_of;

    fn writing(count: i64) -> Box<Writing> {
        let target = Target::new("tpro", "co", "example", "x").expect("is a target");
        let outcomes = (1..=count).map(|id| {
            let mut settled = settled_of(target.clone(), 1);
            settled.settlement.id = id;
            settled
        });
        Writing::begin(Batch { outcomes: outcomes.collect(), retry: false }, Vec::new())
    }

    fn ids(outcomes: &[Settled]) -> Vec<i64> {
        outcomes.iter().map(|settled| settled.settlement.id).collect()
    }

    /// Answers each statement with what `server` says of its ids, until there is no other. Returns
    /// the last step.
    fn run(
        writing: Box<Writing>,
        mut server: impl FnMut(&[Settled]) -> Option<Trouble>,
        missing: &[i64],
    ) -> (Step, usize) {
        let (mut step, mut statements) = (Step::Write(writing), 0);
        loop {
            step = match step {
                Step::Write(writing) => {
                    statements += 1;
                    let trouble = server(writing.part());
                    let (sqlstate, text) = ("22P05".to_owned(), "no".to_owned());
                    let rows =
                        writing.part().iter().filter(|it| !missing.contains(&it.settlement.id)).count();
                    let result = match trouble {
                        Some(kind) => Err(Unwritten { kind, sqlstate, text }),
                        None => Ok(rows as u64),
                    };
                    writing.tried(result)
                }
                Step::Ask(writing) => writing.missing(missing),
                last => return (last, statements),
            };
        }
    }

    fn written(step: Step) -> Written {
        match step {
            Step::Written(written, _) => written,
            _ => panic!("it is not written"),
        }
    }

    #[test]
    fn a_batch_without_trouble_is_one_statement() {
        let (last, statements) = run(writing(500), |_| None, &[]);
        assert_eq!((written(last).done.len(), statements), (500, 1));
    }

    #[test]
    fn a_bad_value_is_found_and_becomes_an_error_alone() {
        let is_bad =
            |settled: &Settled| settled.settlement.id == 7 && settled.settlement.status == Status::Ok;
        let server = |part: &[Settled]| part.iter().any(is_bad).then_some(Trouble::BadValue);
        let done = written(run(writing(16), server, &[]).0).done;
        let errors = done.iter().filter(|settled| settled.settlement.status == Status::Error);
        assert_eq!((done.len(), errors.map(|it| it.settlement.id).collect::<Vec<_>>()), (16, vec![7]));
    }

    #[test]
    fn a_bad_value_that_stays_one_ends_the_session() {
        let (last, statements) = run(writing(1), |_| Some(Trouble::BadValue), &[]);
        assert!(matches!(last, Step::Broken(_)) && statements == 2);
    }

    #[test]
    fn a_row_that_others_have_in_hand_is_held_and_the_others_are_written() {
        let server = |part: &[Settled]| {
            part.iter().any(|it| [3, 9].contains(&it.settlement.id)).then_some(Trouble::Held)
        };
        let Written { done, held, swallowed, .. } = written(run(writing(16), server, &[]).0);
        let mut held = ids(&held);
        held.sort_unstable();
        assert_eq!((done.len(), held, swallowed), (14, vec![3, 9], vec![]));
    }

    #[test]
    fn what_may_have_a_new_handler_is_given_back_with_the_rest_of_its_batch() {
        let (mut statements, mut asked) = (0, Vec::new());
        let server = |part: &[Settled]| {
            statements += 1;
            asked.push(part.len());
            match statements {
                1 => Some(Trouble::BadValue),
                2 => None,
                _ => Some(Trouble::NewHandlers),
            }
        };
        let Written { done, held, again, .. } = written(run(writing(16), server, &[]).0);
        assert_eq!((asked, ids(&done), held.len()), (vec![16, 8, 8], (1..=8).collect(), 0));
        assert_eq!(ids(&again), (9..=16).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_refused_holds_up_nothing_that_may_have_a_new_handler() {
        let mut statements = 0;
        let server = |part: &[Settled]| {
            statements += 1;
            match part.iter().any(|it| it.settlement.id == 1) {
                true => Some(Trouble::Refused),
                false => Some(Trouble::NewHandlers),
            }
        };
        let Written { done, again, .. } = written(run(writing(4), server, &[1]).0);
        assert_eq!((done.len(), ids(&again)), (0, vec![1, 2, 3, 4]));
    }

    #[test]
    fn swallowed_rows_are_held_and_named() {
        let Written { done, held, swallowed, .. } = written(run(writing(8), |_| None, &[2, 3]).0);
        assert_eq!((done.len(), ids(&held).len(), swallowed), (6, 2, vec![2, 3]));
    }

    #[test]
    fn what_the_server_refuses_is_tried_again_after_a_pause_and_the_others_are_written() {
        let refused = [5];
        let server =
            |part: &[Settled]| part.iter().any(|it| it.settlement.id == 5).then_some(Trouble::Refused);
        let (last, _) = run(writing(8), server, &refused);
        let Step::Pause(writing) = last else { panic!("it does not pause") };
        assert_eq!(writing.why(), "no");
        let Step::Write(writing) = writing.resume() else { panic!("it does not go on") };
        assert_eq!(ids(writing.part()), [5]);
        assert_eq!(written(run(writing, |_| None, &[]).0).done.len(), 8);
    }
}
