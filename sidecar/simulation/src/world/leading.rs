//! A copy that leads: the driver of its core.
//!
//! It is what `tpro_dispatcher::driver` is, without IO: it tells the core what happens, does what the
//! core asks for until it asks for nothing more, and waits for the next event or the next moment.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tpro_dispatcher::core::{
    Action, Bounds, Core, Done, End, Found, Incoming, Input, Settings, Statement, incoming::Headers,
};
use tpro_runtime::{presence::QUESTION, telemetry::Spans};
use tpro_wire::{Uid, headers};

use super::{
    World,
    callbacks::Known,
    clock::{self, instant, wall},
    event::Event,
    jobs::{self, Next},
    line::Ended,
    names::names,
    process::{Lead, Leader},
};
use crate::{
    nats::Message,
    postgres::{Note, Service, SessionId},
    time::Time,
};

/// The headers of a simulated message.
struct Pairs<'m>(&'m [(Arc<str>, Arc<str>)]);

impl Headers for Pairs<'_> {
    fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(header, _)| **header == *name).map(|(_, value)| &**value)
    }
}

impl World {
    /// The leader has found out what there is to do.
    pub(super) fn lead(&mut self, at: usize, session: SessionId, found: Found) {
        let now = instant(self.now());
        let callbacks = Known::default();
        let settings = self.settings(at, callbacks.clone());
        let core = Core::new(settings, found, self.counts.clone(), Spans::off(), now);
        let leader = Leader {
            core,
            callbacks,
            jobs: BTreeMap::new(),
            flying: BTreeMap::new(),
            ids: BTreeMap::new(),
            told: None,
        };
        self.note(format_args!("process {at} leads on {session:?}"));
        self.processes[at].lead = Lead::Leads(session, Box::new(leader));
        self.drive(at);
    }

    fn settings(&mut self, at: usize, callbacks: Known) -> Settings {
        let (names, knobs) = (names(self.processes[at].service), self.plan.knobs.clone());
        let random = self.scheduler.random();
        let mut echo = [0; 10];
        echo[..8].copy_from_slice(&random.next_u64().to_be_bytes());
        Settings {
            service: names.service.clone(),
            replies: names.replies.clone(),
            has_handler: Box::new(move |target| {
                target.method_name().starts_with("handled") || callbacks.has(target)
            }),
            pool: 4,
            bounds: Bounds { lane: knobs.lane, total: knobs.total, bytes: 1 << 20, page: knobs.page },
            partition_rows: knobs.partition,
            hops: 16,
            park_after: knobs.park,
            slow_poll: knobs.slow_poll,
            attempt_timeout: Duration::from_secs(5),
            heartbeat: Duration::from_secs(5),
            echo: Uid::v7(1, echo),
            go: Some(Uid::v7(2, echo)),
            seed: random.next_u64(),
            connection: self.processes[at].number,
        }
    }

    /// Tells the core of a copy how it stands with its connection and the time, and does what it
    /// asks for.
    pub(super) fn drive(&mut self, at: usize) {
        self.tell(at, |_| None);
    }

    /// Tells the core something, and does what it asks for.
    pub(super) fn tell<'m>(&mut self, at: usize, input: impl FnOnce(&mut Leader) -> Option<Input<'m>>) {
        let lead = std::mem::replace(&mut self.processes[at].lead, Lead::Away);
        let Lead::Leads(session, mut leader) = lead else {
            self.processes[at].lead = lead;
            return;
        };
        let now = instant(self.now());
        let up = self.processes[at].connection.is_some();
        let connection = Input::Connection { up, number: self.processes[at].number };
        self.coverage.input(&connection);
        leader.core.handle(connection, now);
        let clock = self.clock_of(at, super::ASK_TIME);
        leader.core.handle(Input::Clock(wall(clock)), now);
        if let Some(input) = input(&mut leader) {
            self.coverage.input(&input);
            leader.core.handle(input, now);
        }
        for handled in std::mem::take(&mut self.processes[at].handled) {
            let input = Input::Handled(handled);
            self.coverage.input(&input);
            leader.core.handle(input, now);
        }
        let end = self.act(at, session, &mut leader);
        match end {
            Some(end) => {
                self.note(format_args!("process {at} leads no more: {end:?}"));
                self.on_end(at, &end, &leader);
                self.falls(at, session, end == End::Stopped);
            }
            None => {
                let due = leader.core.next_timeout().map(clock::time);
                self.processes[at].lead = Lead::Leads(session, leader);
                if let Some(due) = due {
                    self.wake_at(at, due);
                }
            }
        }
    }

    /// Does what the core asks for. Returns the end, if that is it.
    fn act(&mut self, at: usize, session: SessionId, leader: &mut Leader) -> Option<End> {
        let now = instant(self.now());
        loop {
            while let Some(action) = leader.core.poll(now) {
                self.coverage.action(&action);
                match action {
                    Action::Run(statement) => self.begin_job(at, session, leader, statement),
                    Action::Abandon => leader.jobs.clear(),
                    Action::Send(key) => self.send(at, session, leader, key),
                    Action::Forward(reply) => self.forward(at, &reply),
                    Action::Ask(question) => self.ask_service(at, leader, question),
                    Action::Handle(handling) => self.handle(at, session, leader, handling),
                    Action::AskStandby => leader.core.handle(Input::Standby(false), now),
                    Action::Show(notice) => self.note(format_args!("process {at} shows {notice:?}")),
                    Action::End(end) => return Some(end),
                }
            }
            if self.processes[at].full || !leader.core.wants_room() {
                return None;
            }
            leader.core.handle(Input::Room, now);
        }
    }

    fn begin_job(&mut self, at: usize, session: SessionId, leader: &mut Leader, statement: Statement) {
        if let Statement::Settle(writing) = &statement {
            for settled in writing.part() {
                leader.flying.remove(&settled.settlement.uid);
                leader.ids.remove(&settled.settlement.id);
            }
        }
        let next = jobs::begin(Service(self.processes[at].service), statement, &leader.callbacks);
        self.go_on_with_job(at, session, leader, next);
    }

    /// Returns false if the session is of no use any more.
    fn go_on_with_job(&mut self, at: usize, session: SessionId, leader: &mut Leader, next: Next) -> bool {
        match next {
            Next::Ask(job, statement) => {
                let tag = self.ask(session, statement);
                leader.jobs.insert(tag, job);
                true
            }
            Next::Done(done) => {
                let now = instant(self.now());
                if let Done::Recalled { gone, .. } = &done {
                    for id in gone {
                        if let Some(uid) = leader.ids.remove(id) {
                            leader.flying.remove(&uid);
                        }
                    }
                }
                let input = Input::Done(done);
                self.coverage.input(&input);
                leader.core.handle(input, now);
                true
            }
            Next::Fall(state) => {
                self.note(format_args!("process {at} falls: {state:?}"));
                false
            }
        }
    }

    /// An answer has come to the session that leads.
    pub(super) fn job_hears(&mut self, at: usize, session: SessionId, ended: Ended) {
        let lead = std::mem::replace(&mut self.processes[at].lead, Lead::Away);
        let Lead::Leads(of, mut leader) = lead else {
            self.processes[at].lead = lead;
            return;
        };
        let service = Service(self.processes[at].service);
        let goes_on = match leader.jobs.remove(&ended.tag) {
            Some(job) => {
                let next = job.go_on(service, ended, &leader.callbacks);
                self.go_on_with_job(at, session, &mut leader, next)
            }
            None => true,
        };
        self.processes[at].lead = Lead::Leads(of, leader);
        match goes_on {
            true => self.drive(at),
            false => self.leader_falls(at, session),
        }
    }

    /// Something has come to the reply subjects of a copy.
    pub(super) fn on_reply(&mut self, at: usize, message: &Message) {
        let replies = &names(self.processes[at].service).replies;
        let says = message.headers.iter().find(|(name, _)| **name == *headers::STATE);
        let is_final = says.is_none_or(|(_, state)| &**state != "working");
        let parsed = replies.parse(&message.subject).map(|(_, uid, attempt)| (uid, attempt));
        let pairs = Pairs(&message.headers);
        self.note(format_args!("process {at} gets {} {:?} {says:?}", message.subject, message.status));
        self.tell(at, |leader| {
            if let Some((uid, attempt)) = parsed
                && is_final
                && attempt != QUESTION
            {
                leader.flying.remove(&uid);
            }
            Some(Input::Reply(Incoming {
                subject: &message.subject,
                status: message.status,
                headers: &pairs,
                payload: &message.payload,
            }))
        });
    }

    /// A copy of a service (`<space>.<service>`) is back.
    pub(super) fn on_return(&mut self, at: usize, service: &str) {
        self.tell(at, |_| Some(Input::Back(service)));
    }

    pub(super) fn leader_is_notified(&mut self, at: usize, session: SessionId, notes: &[Note]) {
        if !matches!(self.processes[at].lead, Lead::Leads(of, _) if of == session) {
            return;
        }
        let service = Service(self.processes[at].service);
        let (cancelled, due) = (self.database.cancel_channel(service), self.database.due_channel(service));
        for note in notes {
            let moment = note.payload.parse().ok().map(|micros| clock::moment(Time::of_micros(micros)));
            self.tell(at, |_| {
                Some(match &note.channel {
                    channel if *channel == cancelled => Input::Cancelled,
                    channel if *channel == due => Input::DueSoon(moment),
                    _ => Input::Rung,
                })
            });
        }
    }

    /// Has the core looked at soon, as its connection has changed.
    pub(super) fn wake(&mut self, at: usize) {
        let now = self.now();
        if matches!(self.processes[at].lead, Lead::Leads(..)) {
            self.wake_at(at, now);
        }
    }

    fn wake_at(&mut self, at: usize, due: Time) {
        let process = &mut self.processes[at];
        process.token += 1;
        let token = process.token;
        // The core has nothing to do before the next microsecond.
        let due = due.max(self.scheduler.now() + Duration::from_micros(1));
        self.scheduler.at(due, Event::Wake(at, token));
    }

    pub(super) fn on_wake(&mut self, at: usize, token: u64) {
        if self.processes[at].token == token {
            self.tell(at, |_| Some(Input::Time));
        }
    }

    /// The end of a leader is looked at: one that is told to stop has nothing to wait for when
    /// nothing is in hand.
    fn on_end(&mut self, at: usize, end: &End, leader: &Leader) {
        let now = self.now();
        if let Some(told) = leader.told
            && *end == End::Stopped
            && self.book.fates.values().all(|fate| fate.committed.is_none() || fate.settled.is_some())
            && now - told > super::STOP
            && !self.book.is_troubled(told, now, None)
        {
            let text = format!("process {at} took {:?} to stop, with nothing in hand", now - told);
            self.book.broken.push(text);
        }
    }
}
