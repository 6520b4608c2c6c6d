//! The states of cores that runs have come to.

use std::collections::{BTreeMap, BTreeSet};

use tpro_dispatcher::core::{
    Action, Done, End, HandlerEnd, Input, Notice, Question, Statement, Trouble, holds::Asked,
};

/// The states that a core can come to, as far as they are seen from outside.
const ALL: [&str; 71] = [
    "action:abandon",
    "action:ask-echo",
    "action:ask-go",
    "action:ask-presence",
    "action:ask-standby",
    "action:forward",
    "action:handle",
    "action:handle-by-leader",
    "action:send",
    "action:send-again",
    "action:send-as-repeat",
    "action:show-replies",
    "done:fetched",
    "done:fetched-gone",
    "done:holds-all",
    "done:holds-of",
    "done:holds-of-held",
    "done:looked-back",
    "done:looked-back-found",
    "done:missing",
    "done:moved",
    "done:page-bare",
    "done:page-empty",
    "done:page-full",
    "done:page-gone",
    "done:page-rows",
    "done:recalled",
    "done:recalled-gone",
    "done:recalled-owed",
    "done:recovered",
    "done:recovered-owed",
    "done:sent-due",
    "done:sent-due-nothing",
    "done:settled",
    "done:settled-fewer",
    "done:settled-held",
    "done:settled-new-handlers",
    "done:slept",
    "done:slept-not",
    "done:tried",
    "done:woken",
    "end:cut",
    "end:silent",
    "end:stopped",
    "handled:again",
    "handled:unwritten",
    "handled:written",
    "input:back",
    "input:cancelled",
    "input:connection-down",
    "input:due-soon",
    "input:reply",
    "input:reply-no-responders",
    "input:reply-state",
    "input:rung",
    "input:stop",
    "order:goes-on-after-takeover",
    "order:held",
    "order:released",
    "order:retried",
    "order:waits",
    "statement:look-back-below",
    "statement:move-clean",
    "statement:page-doubted",
    "statement:page-within",
    "status:cancelled",
    "status:error",
    "status:expired",
    "status:ok",
    "status:timeout",
    "status:unavailable",
];

/// How often cores came to each state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<&'static str, u64>);

impl Coverage {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        for (state, times) in &other.0 {
            *self.0.entry(state).or_default() += times;
        }
    }

    /// The number of states that were come to, of all, and the others.
    pub fn seen(&self) -> (usize, usize, Vec<&'static str>) {
        let seen: BTreeSet<&str> = self.0.keys().copied().collect();
        let missing: Vec<_> = ALL.into_iter().filter(|state| !seen.contains(state)).collect();
        (ALL.len() - missing.len(), ALL.len(), missing)
    }

    /// A core has come to this state.
    pub fn at(&mut self, state: &'static str) {
        debug_assert!(ALL.contains(&state), "{state} is in no list");
        *self.0.entry(state).or_default() += 1;
    }

    /// The core asks for this.
    pub fn action(&mut self, action: &Action) {
        match action {
            Action::Abandon => self.at("action:abandon"),
            Action::Ask(Question::Echo { .. }) => self.at("action:ask-echo"),
            Action::Ask(Question::Go { .. }) => self.at("action:ask-go"),
            Action::Ask(Question::Presence { .. }) => self.at("action:ask-presence"),
            Action::AskStandby => self.at("action:ask-standby"),
            Action::Handle(handling) if handling.by_leader => self.at("action:handle-by-leader"),
            Action::Handle(_) => self.at("action:handle"),
            Action::Show(Notice::Replies(_)) => self.at("action:show-replies"),
            Action::End(End::Cut) => self.at("end:cut"),
            Action::End(End::Silent) => self.at("end:silent"),
            Action::End(End::Stopped) => self.at("end:stopped"),
            Action::Run(statement) => self.statement(statement),
            Action::Send(_)
            | Action::Forward(_)
            | Action::Show(Notice::Standby(_) | Notice::Go(_))
            | Action::End(End::Broken(_)) => {}
        }
    }

    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Page { window, doubted, .. } => {
                if *doubted {
                    self.at("statement:page-doubted");
                }
                if window.until.is_some() {
                    self.at("statement:page-within");
                }
            }
            Statement::LookBack { last: Some(_), .. } => self.at("statement:look-back-below"),
            Statement::MoveCursor(cursor) if cursor.clean => self.at("statement:move-clean"),
            _ => {}
        }
    }

    /// The core is told of this.
    pub fn input(&mut self, input: &Input<'_>) {
        match input {
            Input::Back(_) => self.at("input:back"),
            Input::Cancelled => self.at("input:cancelled"),
            Input::Connection { up: false, .. } => self.at("input:connection-down"),
            Input::Reply(reply) if reply.status.is_some() => self.at("input:reply-no-responders"),
            Input::Reply(reply) if reply.payload.is_empty() => self.at("input:reply-state"),
            Input::Reply(_) => self.at("input:reply"),
            Input::Rung => self.at("input:rung"),
            Input::Stop => self.at("input:stop"),
            Input::Handled(handled) => self.at(match handled.end {
                HandlerEnd::Again => "handled:again",
                HandlerEnd::Unwritten => "handled:unwritten",
                HandlerEnd::Written => "handled:written",
            }),
            Input::DueSoon(_) => self.at("input:due-soon"),
            Input::Done(done) => self.done(done),
            _ => {}
        }
    }

    fn done(&mut self, done: &Done) {
        match done {
            Done::Page { rows, limit, gone, .. } => {
                self.at(match rows.len() {
                    0 => "done:page-empty",
                    rows if rows == *limit => "done:page-full",
                    _ => "done:page-rows",
                });
                if !gone.is_empty() {
                    self.at("done:page-gone");
                }
                let bare = |content: &_| matches!(content, tpro_dispatcher::core::published::Content::Bare);
                if rows.iter().any(|row| bare(&row.content)) {
                    self.at("done:page-bare");
                }
            }
            Done::Recovered(page) => {
                self.at(if page.owed.is_empty() { "done:recovered" } else { "done:recovered-owed" });
            }
            Done::Fetched { gone, .. } => {
                self.at(if gone.is_empty() { "done:fetched" } else { "done:fetched-gone" });
            }
            Done::Holds(Asked::Behind(_), _) => self.at("done:holds-all"),
            Done::Holds(Asked::Of(_), rows) => {
                self.at(if rows.is_empty() { "done:holds-of" } else { "done:holds-of-held" });
            }
            Done::Recalled { gone, owed } => {
                self.at(if gone.is_empty() { "done:recalled" } else { "done:recalled-gone" });
                if !owed.is_empty() {
                    self.at("done:recalled-owed");
                }
            }
            Done::Slept { ours, .. } => self.at(if *ours { "done:slept" } else { "done:slept-not" }),
            Done::Woken => self.at("done:woken"),
            Done::Settled(writing, Ok(rows)) => {
                let whole = *rows == writing.part().len() as u64;
                self.at(if whole { "done:settled" } else { "done:settled-fewer" });
            }
            Done::Settled(_, Err(why)) => self.at(match why.kind {
                Trouble::NewHandlers => "done:settled-new-handlers",
                _ => "done:settled-held",
            }),
            Done::Missing(..) => self.at("done:missing"),
            Done::LookedBack { found, .. } => {
                self.at(if found.is_empty() { "done:looked-back" } else { "done:looked-back-found" });
            }
            Done::Moved => self.at("done:moved"),
            Done::Tried(_) => self.at("done:tried"),
            Done::SentDue(Some(sent)) => {
                self.at(if sent.rows == 0 { "done:sent-due-nothing" } else { "done:sent-due" });
            }
            Done::SentDue(None) | Done::Forwards(_) | Done::Noted | Done::Beat => {}
        }
    }

    /// A reply has this status.
    pub fn status(&mut self, status: &str) {
        if let Some(state) =
            ALL.into_iter().find(|state| state.strip_prefix("status:").is_some_and(|it| it == status))
        {
            self.at(state);
        }
    }
}
