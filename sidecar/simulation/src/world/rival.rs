//! A rival: another server with the identity of ours, from which a service is led as well. It is a
//! clone, or the standby that somebody has promoted.
//!
//! It claims and answers by the product's rules, and does nothing else: what it would send from its
//! own outbox are messages of another database.

use tpro_dispatcher::election::{
    identity::Server,
    standing::{Heard, Stance, Standing},
};

use super::{
    World,
    book::Trouble,
    claiming::{ANSWER, inbox, read, written},
    clock::{self, instant},
    event::Event,
    fault::Fault,
    names::names,
    process::{Lead, Life},
};
use crate::{
    nats::{ConnectionId, Message, Operation, Permissions},
    time::Time,
};
use std::time::Duration;

/// The subscription to questions, and that to answers.
const QUESTIONS: u64 = 1;
const ANSWERS: u64 = 2;
/// A leader beside a promoted server has noticed it after so long: it asks every 3 s.
const NOTICED: Duration = Duration::from_millis(4_500);
/// A service is led again so long after its rival is gone.
const LED_AGAIN: Duration = Duration::from_secs(6);

/// A rival.
pub struct Rival {
    /// Its connection to NATS.
    pub connection: ConnectionId,
    /// The service.
    service: usize,
    /// Its claim.
    standing: Standing,
    /// It leads, since then.
    leads: Option<Time>,
    /// Its server was promoted after ours.
    is_promoted: bool,
}

impl World {
    /// A rival of the service of this fault's copy begins.
    pub(super) fn begin_rival(&mut self, at: usize, fault: &Fault) {
        if !self.broker_up {
            return;
        }
        let (now, service) = (self.now(), self.processes[fault.copy].service);
        let (timeline, started) = self.database.identity();
        let (timeline, started) = match fault.size % 3 {
            0 => (timeline + 1, now.micros()),
            1 => (timeline, now.micros()),
            _ => (timeline, started.micros().saturating_sub(1)),
        };
        let asker = self.scheduler.random().next_u64();
        let server = Server { timeline, started: started.cast_signed(), asker };
        let standing = Standing::new(server, Stance::Leads, instant(now));
        let connection = self.broker.connect(Permissions::default());
        let is_promoted = fault.size.is_multiple_of(3);
        self.note(format_args!("a rival of service {service}, {connection:?}: {server:?}"));
        self.rivals.insert(at, Rival { connection, service, standing, leads: None, is_promoted });
        let lead = names(service).lead.clone();
        self.rival_says(at, Operation::Subscribe { sid: QUESTIONS, subject: lead, queue: None });
        self.rival_says(at, Operation::Subscribe { sid: ANSWERS, subject: inbox(&server), queue: None });
        self.rival_asks(at);
        self.scheduler.after(ANSWER, Event::Rival(at));
        if is_promoted {
            self.is_disturbed(at);
        }
    }

    /// From now on the service may not be led from our server, until the rival is gone.
    fn is_disturbed(&mut self, at: usize) {
        let fault = &self.plan.faults[at];
        let until = Some(fault.at + fault.lasts);
        let source = self.rivals.get(&at).map(|rival| rival.service);
        let from = self.now();
        self.book.troubles.push(Trouble { from, until, after: LED_AGAIN, target: None, source });
    }

    fn rival_says(&mut self, at: usize, operation: Operation) {
        let Some(connection) = self.rivals.get(&at).map(|rival| rival.connection) else { return };
        if self.broker.send(connection, operation) {
            self.soon(Event::Carry(connection));
        }
    }

    fn rival_asks(&mut self, at: usize) {
        let Some(rival) = self.rivals.get(&at) else { return };
        let (server, subject) = (*rival.standing.server(), names(rival.service).lead.clone());
        let message =
            Message { subject, reply: Some(inbox(&server)), payload: written(&server), ..Message::default() };
        self.rival_says(at, Operation::Publish(message));
    }

    /// The rival leads if nobody has objected, and asks again now and then.
    pub(super) fn on_rival(&mut self, at: usize) {
        let now = self.now();
        let Some(rival) = self.rivals.get_mut(&at) else { return };
        let begins = rival.leads.is_none();
        if begins {
            rival.leads = Some(now);
            rival.standing.holds();
        }
        let asks = rival.standing.ask(instant(now));
        let due = clock::time(rival.standing.due());
        if begins && !rival.is_promoted {
            self.note(format_args!("the rival of fault {at} leads"));
            self.is_disturbed(at);
        }
        if asks {
            self.rival_asks(at);
        }
        self.scheduler.at(due.max(now + ANSWER), Event::Rival(at));
    }

    /// Something has come to a rival.
    pub(super) fn rival_hears(&mut self, at: usize, sid: u64, message: &Message) {
        let (Some(rival), Some(theirs)) = (self.rivals.get_mut(&at), read(&message.payload)) else { return };
        if rival.standing.is_own(&theirs) {
            return;
        }
        if sid == QUESTIONS {
            let _ = rival.standing.heed(&Heard::Question(theirs));
            let ours = *rival.standing.server();
            if let Some(subject) = message.reply.clone() {
                let message = Message { subject, payload: written(&ours), ..Message::default() };
                self.rival_says(at, Operation::Publish(message));
            }
        } else if rival.standing.heed(&Heard::Answer(theirs)).is_err() {
            self.note(format_args!("the rival of fault {at} gives way"));
            self.leave_rival(at);
        }
    }

    /// The rival is over. Beside a promoted server that has led for a while nobody leads.
    pub(super) fn end_rival(&mut self, at: usize) {
        let now = self.now();
        if let Some(rival) = self.rivals.get(&at)
            && rival.is_promoted
            && rival.leads.is_some_and(|since| now - since > NOTICED)
            && self.is_calm(now, rival.service)
        {
            let leads = |process: &&super::process::Process| {
                process.service == rival.service
                    && process.life == Life::Runs
                    && matches!(process.lead, Lead::Leads(..))
            };
            if let Some(process) = self.processes.iter().find(leads) {
                let text = format!("copy {} leads beside a server that was promoted", process.copy);
                self.book.broken.push(text);
            }
        }
        self.leave_rival(at);
    }

    /// True if nothing but rivals of this service has disturbed anybody in the last seconds.
    fn is_calm(&self, now: Time, service: usize) -> bool {
        let from = Time::of_micros(now.micros().saturating_sub(NOTICED.as_micros() as u64));
        let is_recent = |trouble: &&Trouble| {
            trouble.from <= now && trouble.until.is_none_or(|end| end + trouble.after >= from)
        };
        self.book.troubles.iter().filter(is_recent).all(|trouble| trouble.source == Some(service))
    }

    fn leave_rival(&mut self, at: usize) {
        if let Some(rival) = self.rivals.remove(&at) {
            self.coming.remove(&rival.connection);
            self.broker.abandon(rival.connection);
            self.soon(Event::Closed(rival.connection));
        }
    }
}
