//! Sessions: statements on their way to the database, and answers on their way back.

use std::time::Duration;

use super::{
    World,
    event::{Event, Owner},
    line::{Ended, Line, Tag, settles},
};
use crate::postgres::{Answer, SessionId, SqlState, Statement, Step};

/// The longest time that a statement rests between two phases of its commit.
const PHASE: u64 = 3_000;

impl World {
    /// Opens a session, if the database can be reached.
    pub(super) fn connect(&mut self, owner: Owner, process: Option<usize>) -> Option<SessionId> {
        let cut = process.is_some_and(|process| self.processes[process].database_cut);
        if cut || !self.database_up {
            return None;
        }
        let session = self.database.connect(self.now());
        self.lines.insert(session, Line::new(owner, process, cut));
        Some(session)
    }

    /// Asks a statement on a session.
    pub(super) fn ask(&mut self, session: SessionId, statement: Statement) -> Tag {
        self.next_tag += 1;
        let tag = self.next_tag;
        let Some(line) = self.lines.get_mut(&session) else { return tag };
        line.queue.push_back((tag, statement));
        if !line.cut {
            self.soon(Event::Reach(session));
        }
        tag
    }

    /// The client closes its end.
    pub(super) fn close(&mut self, session: SessionId) {
        let Some(line) = self.lines.get_mut(&session) else { return };
        line.gone = true;
        line.answers.clear();
        line.queue.truncate(line.arrived);
        if !line.cut {
            self.soon(Event::HangUp(session));
        }
    }

    pub(super) fn on_hang_up(&mut self, session: SessionId) {
        let Some(line) = self.lines.get_mut(&session).filter(|line| !line.cut) else { return };
        line.queue.clear();
        line.arrived = 0;
        self.database.hang_up(session);
        self.forget_if_over(session);
        self.wake_blocked();
    }

    fn forget_if_over(&mut self, session: SessionId) {
        if !self.database.is_open(session) && self.lines.get(&session).is_some_and(|line| line.gone) {
            self.lines.remove(&session);
            self.blocked.remove(&session);
        }
    }

    pub(super) fn on_reach(&mut self, session: SessionId) {
        let Some(line) = self.lines.get_mut(&session).filter(|line| !line.cut) else { return };
        if line.arrived < line.queue.len() {
            line.arrived += 1;
        }
        self.serve_session(session);
    }

    /// Runs what has arrived, as far as the session is free.
    pub(super) fn serve_session(&mut self, session: SessionId) {
        loop {
            let Some(line) = self.lines.get_mut(&session) else { return };
            if line.frozen || line.busy.is_some() || line.arrived == 0 {
                return;
            }
            if !self.database.is_open(session) {
                return self.is_lost(session);
            }
            line.arrived -= 1;
            let Some((tag, statement)) = line.queue.pop_front() else { return };
            let is_depose = matches!(statement, Statement::Depose(_));
            let wakes = if let Statement::Wake(service) = statement { Some(service) } else { None };
            line.busy = Some((tag, settles(&statement)));
            let now = self.now();
            let shown = statement_name(&statement);
            let past = self.settles_past_handlers(&statement);
            let step = self.database.execute(session, statement, now);
            self.note_past_handlers(past, &step);
            self.note(format_args!("{session:?} {shown} {}", short(&step)));
            let deposed = is_depose && step == Step::Done(Ok(Answer::Flag(true)));
            self.stepped(session, step);
            wakes.into_iter().for_each(|service| self.pounce(service.0));
            if deposed {
                self.sweep();
            }
        }
    }

    /// A step of a session's statement has ended.
    fn stepped(&mut self, session: SessionId, step: Step) {
        match step {
            Step::Waits => {
                self.blocked.insert(session);
                self.plan_resume(session);
                if let Some(due) = self.database.due_of(session) {
                    self.scheduler.at(due, Event::Resume(session));
                }
            }
            Step::Done(result) => {
                self.blocked.remove(&session);
                let at = self.database.clock(self.now());
                if let Some(line) = self.lines.get_mut(&session)
                    && let Some((tag, settles)) = line.busy.take()
                {
                    let owner = line.owner;
                    line.answers.push_back(Ended { tag, result: result.clone(), at });
                    if !line.cut && !line.gone {
                        self.soon(Event::Answer(session));
                    }
                    self.executed(owner, settles, &result);
                }
                if let Some(due) = self.database.due_of(session) {
                    self.scheduler.at(due, Event::Idle(session));
                }
            }
        }
        if !self.database.is_open(session) {
            self.is_lost(session);
        }
        self.wake_blocked();
        self.send_notes();
    }

    pub(super) fn on_resume(&mut self, session: SessionId) {
        let now = self.now();
        self.resuming.remove(&session);
        if !self.blocked.contains(&session) || !self.database.can_go_on(session, now) {
            return;
        }
        let step = self.database.resume(session, now);
        self.note(format_args!("{session:?} goes on: {}", short(&step)));
        self.stepped(session, step);
        self.serve_session(session);
    }

    pub(super) fn on_idle(&mut self, session: SessionId) {
        let now = self.now();
        if self.blocked.contains(&session)
            || !self.database.is_open(session)
            || !self.database.can_go_on(session, now)
        {
            return;
        }
        self.database.resume(session, now);
        self.note(format_args!("{session:?} stood idle for too long"));
        self.is_lost(session);
        self.wake_blocked();
    }

    fn plan_resume(&mut self, session: SessionId) {
        let now = self.now();
        if self.resuming.contains(&session) || !self.database.can_go_on(session, now) {
            return;
        }
        self.resuming.insert(session);
        // Now and then a commit stands still between two phases for long.
        let most = if self.scheduler.random().one_in(12) { PHASE * 20 } else { PHASE / 3 };
        let span = Duration::from_micros(self.scheduler.random().below(most));
        self.scheduler.after(span, Event::Resume(session));
    }

    /// Plans that sessions go on whose reason to wait is gone.
    pub(super) fn wake_blocked(&mut self) {
        if self.blocked.is_empty() {
            return;
        }
        for session in self.blocked.iter().copied().collect::<Vec<_>>() {
            self.plan_resume(session);
        }
    }

    /// Finds the sessions that the server has ended.
    pub(super) fn sweep(&mut self) {
        for session in self.lines.keys().copied().collect::<Vec<_>>() {
            if !self.database.is_open(session) {
                self.is_lost(session);
            }
        }
        self.wake_blocked();
    }

    /// The server has ended a session.
    pub(super) fn is_lost(&mut self, session: SessionId) {
        self.blocked.remove(&session);
        let Some(line) = self.lines.get_mut(&session) else { return };
        if line.gone {
            self.lines.remove(&session);
            return;
        }
        if std::mem::replace(&mut line.lost, true) {
            return;
        }
        line.busy = None;
        if !line.cut {
            self.soon(Event::Lost(session));
        }
    }

    pub(super) fn on_answer(&mut self, session: SessionId) {
        let Some(line) = self.lines.get_mut(&session).filter(|line| !line.cut && !line.gone) else { return };
        let owner = line.owner;
        if let Some(ended) = line.answers.pop_front() {
            self.on_ended(owner, session, ended);
        }
    }

    /// The client learns that its session is gone. What was answered before comes first.
    pub(super) fn on_lost(&mut self, session: SessionId) {
        let Some(line) = self.lines.get(&session).filter(|line| !line.cut) else { return };
        if !line.answers.is_empty() && !line.gone {
            self.on_answer(session);
            return self.on_lost(session);
        }
        if let Some(line) = self.lines.remove(&session)
            && !line.gone
        {
            self.note(format_args!("{session:?} is lost for {:?}", line.owner));
            self.on_session_lost(line.owner, session);
        }
    }

    /// Sends notifications to those who lead.
    fn send_notes(&mut self) {
        for at in 0..self.processes.len() {
            let Some(session) = self.processes[at].lead.session() else { continue };
            let notes = self.database.take_notes(session);
            if notes.is_empty() {
                continue;
            }
            if let Some(line) = self.lines.get_mut(&session) {
                line.notes.extend(notes);
                if !line.cut {
                    self.soon(Event::Notes(session));
                }
            }
        }
    }

    pub(super) fn on_notes(&mut self, session: SessionId) {
        let Some(line) = self.lines.get_mut(&session).filter(|line| !line.cut) else { return };
        let notes = std::mem::take(&mut line.notes);
        if let Owner::Leader(process) = line.owner {
            self.leader_is_notified(process, session, &notes);
        }
    }

    /// The line of a session lets nothing through, or does again.
    pub(super) fn cut_line(&mut self, session: SessionId, cut: bool) {
        let Some(line) = self.lines.get_mut(&session) else { return };
        line.cut = cut;
        if cut {
            return;
        }
        let (queued, answers, notes) =
            (line.queue.len() - line.arrived, line.answers.len(), !line.notes.is_empty());
        let (lost, gone) = (line.lost, line.gone);
        if gone {
            return self.soon(Event::HangUp(session));
        }
        (0..queued).for_each(|_| self.soon(Event::Reach(session)));
        (0..answers).for_each(|_| self.soon(Event::Answer(session)));
        if notes {
            self.soon(Event::Notes(session));
        }
        if lost {
            self.soon(Event::Lost(session));
        }
    }
}

/// An error that passes: the statement may be tried again, in another session perhaps.
pub fn passes(state: SqlState) -> bool {
    matches!(
        state,
        SqlState::LOST
            | SqlState::ADMIN_SHUTDOWN
            | SqlState::DEADLOCK
            | SqlState::CANCELLED
            | SqlState::IDLE_IN_TRANSACTION
            | SqlState::READ_ONLY
            | SqlState::DISK_FULL
            | SqlState::LOCK_NOT_AVAILABLE
            | SqlState::FAILED_TRANSACTION
    )
}

/// The first word of a statement, for the trace.
fn statement_name(statement: &Statement) -> String {
    if let Some((_, replies)) = statement.settles() {
        let ids: Vec<i64> = replies.iter().map(|reply| reply.mq_id).collect();
        return format!("settles {ids:?}");
    }
    let shown = match statement {
        Statement::MoveCursor(_, cursor) => {
            return format!("moves to {} {:?} {}", cursor.snapshot, cursor.pending, cursor.clean);
        }
        Statement::Read(_, window) => return format!("reads after {}", window.seen),
        Statement::Publish(..) => "Publish",
        Statement::Known(..) => "Known",
        Statement::Accept(..) => "Accept",
        Statement::Finish(..) => "Finish",
        Statement::FinishAccepted(..) => "FinishAccepted",
        Statement::SettleOwn(..) => "SettleOwn",
        Statement::CountRepeat(..) => "CountRepeat",
        other => return format!("{other:?}"),
    };
    shown.to_owned()
}

/// The end of a step in few words, for the trace.
fn short(step: &Step) -> String {
    match step {
        Step::Waits => "waits".into(),
        Step::Done(Err(state)) => format!("fails: {state:?}"),
        Step::Done(Ok(Answer::Page(page))) => {
            let ids: Vec<i64> = page.rows.iter().map(|(message, _)| message.id).collect();
            let cur = page.cur.as_ref().map(ToString::to_string);
            format!("finds {ids:?} in {cur:?}")
        }
        Step::Done(Ok(Answer::Messages(messages))) => {
            let ids: Vec<i64> = messages.iter().map(|message| message.id).collect();
            format!("fetches {ids:?}")
        }
        Step::Done(Ok(Answer::Known(known))) => {
            let known: Vec<_> = known
                .iter()
                .map(|known| {
                    (known.answer.is_some(), known.run, known.ours, known.has_time, known.is_present)
                })
                .collect();
            format!("knows {known:?}")
        }
        Step::Done(Ok(answer)) => format!("{answer:?}"),
    }
}
