//! Connections to NATS, and what comes over them.

use std::{sync::Arc, time::Duration};

use super::{
    World,
    book::Trouble,
    claiming::inbox,
    event::Event,
    names::{BACK, names},
    process::{Lead, Life},
};
use crate::nats::{ConnectionId, Delivery, Member, Message, Operation, Permissions};

/// The subscription to requests.
const SERVED: u64 = 1;
/// The subscription to replies.
const REPLIES: u64 = 2;
/// The subscription to those who are back.
const RETURNS: u64 = 3;
/// The subscription to those who ask who leads.
const CLAIMS: u64 = 4;
/// The subscription to answers to that question.
const ANSWERS: u64 = 5;
/// A client notices within this time that nothing comes any more.
pub const PINGS: Duration = Duration::from_secs(6);
/// The longest time after which a message that nobody has got is sent again, and answered.
const UNANSWERED: Duration = Duration::from_secs(7);
/// The server notices within this time that a client is gone.
pub const SERVER_PINGS: Duration = Duration::from_secs(20);

impl World {
    pub(super) fn connect_nats(&mut self, at: usize, turn: u64) {
        let process = &self.processes[at];
        if process.turn != turn || process.life == Life::Dead || process.connection.is_some() {
            return;
        }
        if process.nats_cut || !self.broker_up {
            let span = Duration::from_micros(self.scheduler.random().between(100_000, 1_000_000));
            self.scheduler.after(span, Event::Connect(at, turn));
            return;
        }
        let connection = self.broker.connect(Permissions::default());
        self.owners.insert(connection, at);
        let process = &mut self.processes[at];
        process.connection = Some(connection);
        process.number += 1;
        let (service, serves, leads) = (process.service, process.serves, process.lead.session());
        let number = process.number;
        self.note(format_args!("process {at} is connected, {connection:?}"));
        if serves {
            self.subscribe(at, SERVED, names(service).served.clone(), Some(names(service).lane.clone()));
        }
        self.subscribe(at, RETURNS, format!("{BACK}>").into(), None);
        if leads.is_some() && matches!(self.processes[at].lead, Lead::Begins(..) | Lead::Leads(..)) {
            self.hear_replies(at);
        }
        self.hear_claims(at);
        if serves && number > 1 {
            let subject = names(service).back.clone();
            self.say(at, Message { subject, ..Message::default() });
        }
        self.wake(at);
    }

    fn subscribe(&mut self, at: usize, sid: u64, subject: Arc<str>, queue: Option<Arc<str>>) {
        self.operate(at, Operation::Subscribe { sid, subject, queue });
    }

    /// A copy that begins to lead subscribes to replies.
    pub(super) fn hear_replies(&mut self, at: usize) {
        let wildcard = names(self.processes[at].service).wildcard.clone();
        self.subscribe(at, REPLIES, wildcard, None);
    }

    /// A copy that leads no more.
    pub(super) fn hear_no_replies(&mut self, at: usize) {
        self.operate(at, Operation::Unsubscribe { sid: REPLIES, after: None });
    }

    /// A copy that claims to lead hears who else does.
    pub(super) fn hear_claims(&mut self, at: usize) {
        let Some(server) = self.processes[at].claim.map(|standing| *standing.server()) else { return };
        let lead = names(self.processes[at].service).lead.clone();
        self.subscribe(at, CLAIMS, lead, None);
        self.subscribe(at, ANSWERS, inbox(&server), None);
    }

    /// A copy that leads no more.
    pub(super) fn hear_no_claims(&mut self, at: usize) {
        if self.processes[at].claim.take().is_some() {
            self.operate(at, Operation::Unsubscribe { sid: CLAIMS, after: None });
            self.operate(at, Operation::Unsubscribe { sid: ANSWERS, after: None });
        }
    }

    /// A copy that is told to stop takes no requests any more.
    pub(super) fn leave_queue_group(&mut self, at: usize) {
        self.processes[at].serves = false;
        self.operate(at, Operation::Unsubscribe { sid: SERVED, after: None });
    }

    fn operate(&mut self, at: usize, operation: Operation) -> bool {
        let Some(connection) = self.processes[at].connection else { return false };
        let sent = self.broker.send(connection, operation);
        if sent {
            self.soon(Event::Carry(connection));
        }
        sent
    }

    /// Publishes a message. Without a connection it is lost.
    pub(super) fn say(&mut self, at: usize, message: Message) -> bool {
        self.operate(at, Operation::Publish(message))
    }

    pub(super) fn on_carry(&mut self, connection: ConnectionId) {
        let random = self.scheduler.random();
        let mut choose = |members: &[Member]| random.below(members.len() as u64) as usize;
        if self.broker.carry(connection, &mut choose) {
            self.plan_deliveries();
        }
    }

    /// Has what is on the lines to clients arrive.
    fn plan_deliveries(&mut self) {
        let processes = self.processes.iter().filter_map(|process| process.connection);
        let rivals = self.rivals.values().map(|rival| rival.connection);
        for connection in processes.chain(rivals).collect::<Vec<_>>() {
            let (_, on_line) = self.broker.on_the_lines(connection);
            let coming = self.coming.get(&connection).copied().unwrap_or(0);
            if on_line > coming {
                self.coming.insert(connection, on_line);
                (coming..on_line).for_each(|_| self.soon(Event::Receive(connection)));
            }
        }
    }

    pub(super) fn on_receive(&mut self, connection: ConnectionId) {
        let Some(delivery) = self.broker.receive(connection) else { return };
        if let Some(coming) = self.coming.get_mut(&connection) {
            *coming = coming.saturating_sub(1);
        }
        let weather = self.weather;
        let random = self.scheduler.random();
        if weather.loss > 0 && random.one_in(8) {
            return self.note(format_args!("{connection:?} loses a message"));
        }
        if weather.doubles > 0 && random.one_in(8) {
            let span = Duration::from_micros(self.scheduler.random().below(400_000));
            self.scheduler.after(span, Event::Late(connection, Box::new(delivery.clone())));
        }
        if weather.reorder > 0 && self.scheduler.random().one_in(4) {
            let span = Duration::from_micros(self.scheduler.random().below(200_000));
            self.scheduler.after(span, Event::Late(connection, Box::new(delivery)));
            return;
        }
        self.deliver(connection, delivery);
    }

    pub(super) fn deliver(&mut self, connection: ConnectionId, delivery: Delivery) {
        let Some(at) = self.owners.get(&connection).copied() else {
            let rival = self.rivals.iter().find(|(_, rival)| rival.connection == connection);
            if let (Some(at), Delivery::Message { sid, message }) = (rival.map(|(at, _)| *at), delivery) {
                self.rival_hears(at, sid, &message);
            }
            return;
        };
        if self.processes[at].connection != Some(connection) {
            return;
        }
        let Delivery::Message { sid, message } = delivery else { return };
        match sid {
            SERVED if self.processes[at].slow && self.scheduler.random().one_in(3) => {
                self.note(format_args!("process {at} drops a request"));
            }
            SERVED => self.on_request(at, &message),
            REPLIES => self.on_reply(at, &message),
            CLAIMS => self.on_claim(at, &message),
            ANSWERS => self.on_claim_answer(at, &message),
            RETURNS => {
                if let Some(service) = message.subject.strip_prefix(BACK) {
                    self.on_return(at, service);
                }
            }
            _ => {}
        }
    }

    /// A copy learns that its connection is gone.
    pub(super) fn on_disconnected(&mut self, at: usize, connection: ConnectionId) {
        let is_well = self.broker.is_open(connection) && !self.processes[at].nats_cut;
        if self.processes[at].connection != Some(connection) || is_well {
            return;
        }
        self.note(format_args!("process {at} has lost {connection:?}"));
        let lingers = self.broker.is_open(connection);
        self.broker.abandon(connection);
        if lingers {
            self.close_late(at, connection);
        }
        self.processes[at].connection = None;
        self.owners.remove(&connection);
        self.coming.remove(&connection);
        let turn = self.processes[at].turn;
        let span = Duration::from_micros(self.scheduler.random().between(1_000, 200_000));
        self.scheduler.after(span, Event::Connect(at, turn));
        self.wake(at);
    }

    /// The server has not noticed yet that a client is gone, and goes on giving it requests.
    fn close_late(&mut self, at: usize, connection: ConnectionId) {
        let (from, target) = (self.now(), Some(self.processes[at].service));
        let until = Some(from + SERVER_PINGS);
        self.book.troubles.push(Trouble { from, until, after: UNANSWERED, target, source: None });
        self.scheduler.after(SERVER_PINGS, Event::Closed(connection));
    }

    /// The server notices that a client is gone.
    pub(super) fn on_closed(&mut self, connection: ConnectionId) {
        self.broker.close(connection);
    }

    /// A process is gone. The server notices at once, unless nothing gets through.
    pub(super) fn leave_nats(&mut self, at: usize) {
        let Some(connection) = self.processes[at].connection.take() else { return };
        self.owners.remove(&connection);
        self.coming.remove(&connection);
        self.broker.abandon(connection);
        match self.processes[at].nats_cut {
            true => self.close_late(at, connection),
            false => self.soon(Event::Closed(connection)),
        }
    }

    /// Nothing gets through between a process and NATS, or does again.
    pub(super) fn cut_nats(&mut self, at: usize, cut: bool) {
        self.processes[at].nats_cut = cut;
        let Some(connection) = self.processes[at].connection else { return };
        self.broker.cut(connection, cut);
        if cut {
            self.scheduler.after(PINGS, Event::Disconnected(at, connection));
            return;
        }
        // The deliveries planned during the cut did not happen: they are planned again.
        let (to_server, to_client) = self.broker.on_the_lines(connection);
        (0..to_server).for_each(|_| self.soon(Event::Carry(connection)));
        self.coming.insert(connection, to_client);
        (0..to_client).for_each(|_| self.soon(Event::Receive(connection)));
    }

    /// All connections end.
    pub(super) fn stop_nats(&mut self) {
        self.broker_up = false;
        self.broker.restart();
        for at in 0..self.processes.len() {
            if let Some(connection) = self.processes[at].connection {
                self.soon(Event::Disconnected(at, connection));
            }
        }
    }
}
