//! The claim of a copy to lead: it asks whether its service is led from another server, and answers
//! those who ask. The rules are the product's (`tpro_dispatcher::election::standing`).
//!
//! Nothing is signed here: a word that is not believed changes nothing.

use std::{sync::Arc, time::Duration};

use tpro_dispatcher::election::{
    identity::Server,
    standing::{Heard, Stance, Standing},
};

use super::{World, clock, clock::instant, event::Event, line::Ended, names::names, process::Lead};
use crate::{
    nats::Message,
    postgres::{Answer, SessionId, Statement},
    time::Time,
};

/// The longest time for an answer.
pub const ANSWER: Duration = Duration::from_millis(150);
/// The pause before a copy without a connection looks again whether it can ask.
const LATER: Duration = Duration::from_millis(500);

impl World {
    /// A copy has the lock: it asks its server who it is.
    pub(super) fn begin_to_claim(&mut self, at: usize, session: SessionId) {
        self.note(format_args!("process {at} has the lock on {session:?}"));
        self.processes[at].lead = Lead::Claims(session);
        self.processes[at].asked = None;
        self.ask(session, Statement::Identity);
    }

    /// An answer to a copy that claims to lead.
    pub(super) fn claimer_hears(&mut self, at: usize, session: SessionId, ended: Ended) {
        match ended.result {
            Ok(Answer::Identity(timeline, started)) => self.claim(at, session, timeline, started),
            // Of a question before it had the lock.
            Ok(Answer::Flag(_)) => {}
            _ => self.leader_falls(at, session),
        }
    }

    fn claim(&mut self, at: usize, session: SessionId, timeline: u32, started: Time) {
        let asker = self.scheduler.random().next_u64();
        let server = Server { timeline, started: started.micros().cast_signed(), asker };
        let standing = Standing::new(server, Stance::Leads, instant(self.now()));
        self.processes[at].claim = Some(standing);
        self.hear_claims(at);
        self.ask_about(at, &server);
        self.scheduler.after(ANSWER, Event::Claimed(at, session));
        self.scheduler.at(clock::time(standing.due()), Event::AskAgain(at, session));
    }

    /// Asks whether the service is led from another server.
    fn ask_about(&mut self, at: usize, server: &Server) {
        let subject = names(self.processes[at].service).lead.clone();
        let reply = Some(inbox(server));
        self.say(at, Message { subject, reply, payload: written(server), ..Message::default() });
    }

    /// Nobody has objected in time.
    pub(super) fn on_claimed(&mut self, at: usize, session: SessionId) {
        if !matches!(self.processes[at].lead, Lead::Claims(of) if of == session) {
            return;
        }
        if let Some(standing) = &mut self.processes[at].claim {
            standing.holds();
            self.begin_to_lead(at, session);
        }
    }

    /// It is time to ask again.
    pub(super) fn on_ask_again(&mut self, at: usize, session: SessionId) {
        let (now, process) = (instant(self.now()), &mut self.processes[at]);
        if process.lead.session() != Some(session) {
            return;
        }
        let Some(standing) = &mut process.claim else { return };
        if process.connection.is_none() {
            self.scheduler.after(LATER, Event::AskAgain(at, session));
            return;
        }
        let asks = standing.ask(now);
        let (server, due) = (*standing.server(), standing.due());
        if asks {
            self.ask_about(at, &server);
            self.scheduler.at(clock::time(due), Event::AskAgain(at, session));
        }
    }

    /// Somebody asks whether the service of a copy is led.
    pub(super) fn on_claim(&mut self, at: usize, message: &Message) {
        let (Some(standing), Some(theirs)) = (&mut self.processes[at].claim, read(&message.payload)) else {
            return;
        };
        if standing.is_own(&theirs) {
            return;
        }
        let before = standing.due();
        // A question makes nobody give way.
        let _ = standing.heed(&Heard::Question(theirs));
        let (answers, ours, due) = (standing.answers(), *standing.server(), standing.due());
        if due < before
            && let Some(session) = self.processes[at].lead.session()
        {
            self.scheduler.at(clock::time(due), Event::AskAgain(at, session));
        }
        if answers && let Some(subject) = message.reply.clone() {
            self.say(at, Message { subject, payload: written(&ours), ..Message::default() });
        }
    }

    /// An answer: the service is led from another server.
    pub(super) fn on_claim_answer(&mut self, at: usize, message: &Message) {
        let process = &mut self.processes[at];
        let (Some(standing), Some(theirs)) = (&mut process.claim, read(&message.payload)) else { return };
        if standing.is_own(&theirs) || standing.heed(&Heard::Answer(theirs)).is_ok() {
            return;
        }
        if let Some(session) = process.lead.session() {
            self.note(format_args!("process {at} gives way to another server: {theirs:?}"));
            self.leader_falls(at, session);
        }
    }
}

/// The subject on which the one who asks hears answers.
pub fn inbox(server: &Server) -> Arc<str> {
    format!("_INBOX.tpro.claim.{:016x}", server.asker).into()
}

/// A server, as it is told to others.
pub fn written(server: &Server) -> Arc<[u8]> {
    let Server { timeline, started, asker } = server;
    format!("{timeline} {started} {asker}").into_bytes().into()
}

/// A server that is told by others.
pub fn read(payload: &[u8]) -> Option<Server> {
    let mut words = std::str::from_utf8(payload).ok()?.split(' ');
    let (timeline, started, asker) = (words.next()?, words.next()?, words.next()?);
    Some(Server {
        timeline: timeline.parse().ok()?,
        started: started.parse().ok()?,
        asker: asker.parse().ok()?,
    })
}
