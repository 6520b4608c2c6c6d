//! Faults: what each does, and how it ends.

use std::time::Duration;

use super::{
    AHEAD, CONSEQUENCES, World,
    book::Trouble,
    event::Event,
    fault::{Fault, Kind},
    process::Life,
};
use crate::{
    postgres::{Service, SessionId, Statement, Table},
    time::Time,
};

/// The longest part of the log that a standby lacks, in records.
const BEHIND: [u64; 3] = [20, 100, 800];
/// The pause between two looks for a bad moment.
const LOOK: Duration = Duration::from_millis(3);
/// A jump of the clock that is shorter than this makes no leader seem silent, and no message seem to
/// come from the future.
const SMALL_JUMP: Duration = Duration::from_secs(7);
/// The time that another copy may take to lead in place of one that seemed silent.
const DEPOSED: Duration = Duration::from_secs(4);
/// The server and a client notice within this time that nothing comes from the other any more.
const KEEPALIVE: Duration = Duration::from_secs(11);

impl World {
    pub(super) fn on_fault(&mut self, at: usize) {
        let fault = self.plan.faults[at].clone();
        if fault.is_patient() && self.now() < fault.at + fault.patience() && !self.is_bad_moment(fault.kind) {
            self.scheduler.after(LOOK, Event::Fault(at));
            return;
        }
        self.scheduler.after(fault.lasts, Event::Heal(at));
        let process = self.victim(&fault);
        self.note(format_args!("fault {at}: {:?} of process {process}", fault.kind));
        *self.faults.entry(fault.kind).or_default() += 1;
        let from = self.now();
        let until = fault.kind.is_harmless().then_some(from);
        if !fault.kind.is_harmless() {
            self.book.troubles.push(Trouble { from, until, after: CONSEQUENCES, target: None, source: None });
        }
        self.lasting += 1;
        match fault.kind {
            Kind::Kill => {
                self.kill(process);
                self.scheduler.after(fault.lasts, Event::Start(process));
            }
            Kind::Freeze => {
                if self.runs(process) {
                    self.processes[process].life = Life::Frozen;
                }
            }
            Kind::Stop => self.stop(process),
            Kind::CutDatabase => self.cut_database(process, true),
            Kind::CutNats => self.cut_nats(process, true),
            Kind::NatsRestart => self.stop_nats(),
            Kind::Loss => self.weather.loss += 1,
            Kind::Doubles => {
                self.weather.doubles += 1;
                self.book.doubled = true;
            }
            Kind::Reorder => self.weather.reorder += 1,
            Kind::Delay => self.weather.delay += 1,
            Kind::NoRoom => self.processes[process].full = true,
            Kind::SlowConsumer => self.processes[process].slow = true,
            Kind::Restart | Kind::Crash | Kind::FailOver => self.stop_database(&fault),
            Kind::DiskFull => self.fill_disk(1),
            Kind::Terminate if fault.is_patient() && self.is_bad_moment(fault.kind) => self.end_unheard(),
            Kind::Terminate => self.terminate(&Fault { copy: process, ..fault }),
            Kind::FreezeBackend => self.freeze_backend(at, process),
            Kind::LongTransaction => self.begin_long(at),
            Kind::Clock => self.set_clock(fault.jump()),
            Kind::Rival => self.begin_rival(at, &fault),
        }
        // Kept for its end.
        (self.plan.faults[at].copy, self.plan.faults[at].began) = (process, Some(from));
    }

    /// The process that a fault hits.
    fn victim(&self, fault: &Fault) -> usize {
        let service = self.processes[fault.copy].service;
        if let Some(process) = self.victim_of_moment(fault) {
            return process;
        }
        let leads = |at: &usize| {
            let process = &self.processes[*at];
            process.service == service
                && process.lead.session().is_some()
                && process.lead.session() == self.database.leader(Service(service))
        };
        let leader = (0..self.processes.len()).find(leads);
        leader.filter(|_| fault.leads).unwrap_or(fault.copy)
    }

    pub(super) fn heal(&mut self, at: usize) {
        let fault = self.plan.faults[at].clone();
        let process = fault.copy;
        self.note(format_args!("fault {at} ends: {:?}", fault.kind));
        match fault.kind {
            Kind::Freeze => self.thaw(process),
            Kind::CutDatabase => self.cut_database(process, false),
            Kind::CutNats => self.cut_nats(process, false),
            Kind::NatsRestart => self.broker_up = true,
            Kind::Loss => self.weather.loss -= 1,
            Kind::Doubles => self.weather.doubles -= 1,
            Kind::Reorder => self.weather.reorder -= 1,
            Kind::Delay => self.weather.delay -= 1,
            Kind::NoRoom => {
                self.processes[process].full = false;
                self.wake(process);
            }
            Kind::SlowConsumer => self.processes[process].slow = false,
            Kind::Restart | Kind::Crash | Kind::FailOver => self.database_up = true,
            Kind::FreezeBackend => self.thaw_backend(at),
            Kind::LongTransaction => self.end_long(at),
            Kind::DiskFull => self.fill_disk(-1),
            Kind::Clock => self.set_clock(0),
            Kind::Rival => self.end_rival(at),
            Kind::Kill | Kind::Stop | Kind::Terminate => {}
        }
        self.lasting -= 1;
        let now = self.now();
        if let Some(trouble) = self
            .book
            .troubles
            .iter_mut()
            .find(|trouble| trouble.until.is_none() && trouble.from == fault.began.unwrap_or(fault.at))
        {
            trouble.until = Some(now);
        }
    }

    fn thaw(&mut self, at: usize) {
        if self.processes[at].life != Life::Frozen {
            return;
        }
        self.processes[at].life = Life::Runs;
        for event in std::mem::take(&mut self.processes[at].deferred) {
            self.soon(event);
        }
    }

    /// Told to stop: it takes no more, lets the leadership go, and is gone after a while.
    fn stop(&mut self, at: usize) {
        if !self.runs(at) {
            return;
        }
        self.leave_queue_group(at);
        let now = self.now();
        self.tell(at, |leader| {
            leader.told = Some(now);
            Some(tpro_dispatcher::core::Input::Stop)
        });
        let turn = self.processes[at].turn;
        self.scheduler.after(Duration::from_secs(5), Event::Kill(at, turn));
    }

    /// One more reason, or one less, why the disk is full.
    fn fill_disk(&mut self, more: i32) {
        self.full_disks = self.full_disks.saturating_add_signed(more);
        self.database.fill_disk(self.full_disks > 0);
    }

    /// The clock of the database's host jumps.
    fn set_clock(&mut self, jump: i64) {
        let now = self.now();
        let before = self.database.clock(now);
        self.database.set_clock(AHEAD + jump);
        let after = self.database.clock(now);
        self.book.clocks.push(now);
        self.note(format_args!("the clock of the database goes from {before:?} to {after:?}"));
        if (after - before).max(before - after) >= SMALL_JUMP {
            self.book.jumps.push(now);
            let (from, until) = (now, Some(now));
            self.book.troubles.push(Trouble { from, until, after: DEPOSED, target: None, source: None });
        }
    }

    fn lines_of(&self, at: usize) -> Vec<SessionId> {
        let of = self.lines.iter().filter(|(_, line)| line.process == Some(at));
        of.map(|(session, _)| *session).collect()
    }

    fn cut_database(&mut self, at: usize, cut: bool) {
        self.processes[at].database_cut = cut;
        let began = self.now();
        for session in self.lines_of(at) {
            self.cut_line(session, cut);
            if cut {
                self.scheduler.at(began + KEEPALIVE, Event::Silent(session));
            }
        }
    }

    /// Both ends of a session notice that nothing comes from the other.
    pub(super) fn on_silent(&mut self, session: SessionId) {
        let Some(line) = self.lines.get_mut(&session).filter(|line| line.cut) else { return };
        line.cut = false;
        line.queue.clear();
        line.arrived = 0;
        line.answers.clear();
        line.notes.clear();
        line.lost = true;
        let gone = line.gone;
        self.database.hang_up(session);
        match gone {
            true => self.on_hang_up(session),
            false => self.soon(Event::Lost(session)),
        }
        self.wake_blocked();
    }

    fn stop_database(&mut self, fault: &Fault) {
        let now = self.now();
        match fault.kind {
            Kind::Restart => self.database.restart(now),
            Kind::Crash => {
                let keep = self.database.log_length() as u64;
                let lost = self.behind();
                self.database.crash(keep.saturating_sub(lost) as usize, now);
            }
            _ => {
                let lost = self.behind();
                let got = (self.database.log_length() as u64).saturating_sub(lost).max(10);
                let bad = self.loses_handled().filter(|_| fault.is_patient());
                self.database.fail_over(bad.unwrap_or(got as usize), now);
            }
        }
        self.note(format_args!("the database begins again at {}", self.database.snapshot()));
        self.database.pause_commits(self.plan.knobs.stepwise);
        if fault.kind != Kind::Restart {
            self.book.lost = Some(now);
        }
        self.database_up = false;
        self.blocked.clear();
        for line in self.lines.values_mut() {
            line.frozen = false;
        }
        self.frozen_backends.clear();
        self.sweep();
        self.reread_book();
    }

    /// The records that the next server lacks.
    fn behind(&mut self) -> u64 {
        let random = self.scheduler.random();
        let most = random.pick(&BEHIND).copied().unwrap_or(1);
        random.below(most)
    }

    /// The book is put right after the database has lost something.
    fn reread_book(&mut self) {
        let now = self.now();
        for service in 0..super::SERVICES.len() {
            let rows = |table| self.database.rows(Service(service), table);
            let published = super::rows::uids(&rows(Table::Publish));
            let replied = super::rows::uids(&rows(Table::Reply));
            for (uid, fate) in self.book.fates.iter_mut().filter(|(_, fate)| fate.service == service) {
                // A commit that was under way may be in the log all the same.
                let put_right = |seen: &mut Option<Time>, is_there: bool| {
                    *seen = is_there.then(|| seen.unwrap_or(now));
                };
                put_right(&mut fate.committed, published.contains(uid));
                fate.lost_reply |= fate.settled.is_some() && !replied.contains(uid);
                put_right(&mut fate.settled, replied.contains(uid));
            }
        }
    }

    fn terminate(&mut self, fault: &Fault) {
        let mut last = Vec::new();
        if fault.leads {
            // The one that leads is always among them.
            last.extend(self.processes[fault.copy].lead.session());
        }
        let mut sessions: Vec<SessionId> = self
            .lines
            .iter()
            .filter(|(_, line)| line.process.is_some() && !line.gone)
            .map(|(session, _)| *session)
            .collect();
        for _ in 0..=fault.size % 4 {
            if sessions.is_empty() {
                break;
            }
            let at = self.scheduler.random().below(sessions.len() as u64) as usize;
            let session = last.pop().unwrap_or_else(|| sessions.swap_remove(at));
            self.note(format_args!("{session:?} is terminated"));
            self.database.terminate(session);
        }
        self.sweep();
    }

    fn freeze_backend(&mut self, at: usize, process: usize) {
        let Some(session) = self.processes[process].lead.session() else { return };
        let Some(line) = self.lines.get_mut(&session).filter(|line| !line.lost) else { return };
        line.frozen = true;
        self.database.freeze(session, true);
        self.frozen_backends.insert(at, session);
    }

    fn thaw_backend(&mut self, at: usize) {
        let Some(session) = self.frozen_backends.remove(&at) else { return };
        if let Some(line) = self.lines.get_mut(&session) {
            line.frozen = false;
        }
        self.database.freeze(session, false);
        self.sweep();
        if self.database.is_open(session) {
            self.serve_session(session);
            self.soon(Event::Resume(session));
        }
        self.wake_blocked();
    }

    /// A stranger's transaction has an id, and stays open.
    fn begin_long(&mut self, at: usize) {
        let now = self.now();
        if !self.database_up {
            return;
        }
        let session = self.database.connect(now);
        self.database.execute(session, Statement::Begin, now);
        self.database.execute(session, Statement::TakeXid, now);
        self.strangers.insert(at, session);
    }

    fn end_long(&mut self, at: usize) {
        let now: Time = self.now();
        if let Some(session) = self.strangers.remove(&at)
            && self.database.is_open(session)
        {
            self.database.execute(session, Statement::Rollback, now);
            self.database.hang_up(session);
            self.wake_blocked();
        }
    }
}
