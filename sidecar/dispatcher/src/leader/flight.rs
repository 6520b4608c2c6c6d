//! Messages under way: sent, answered, refused, sent again.

use std::{future::poll_fn, sync::atomic::Ordering};

use async_nats::{PublishErrorKind, Subject, message::OutboundMessage};
use bytes::Bytes;
use futures_util::{FutureExt as _, SinkExt as _};
use tpro_runtime::{
    failpoint,
    metrics::Reason,
    nats::headers::header,
    presence::{self, Presence, QUESTION},
};
use tpro_wire::{Protocol, headers, reply::Noise};

use super::{Fall, Leader, SENDS};
use crate::{
    answer::{self, Reply},
    barrier::Echo,
    in_flight::Key,
    lane::CopyId,
    message::{Message, Phase, Refusal},
    outcome::Outcome,
    retry::{self, End, Next},
    trace,
};

impl Leader {
    /// Sends what the client takes without waiting; there is room for one at least.
    pub(super) fn send_some(&mut self) -> Result<(), Fall> {
        for _ in 0..SENDS {
            let Some(key) = self.outgoing.pop_front() else { break };
            self.send(key)?;
            match poll_fn(|cx| self.nats.poll_ready_unpin(cx)).now_or_never() {
                Some(room) => room.map_err(|_| Fall::Nats)?,
                None => break,
            }
        }
        Ok(())
    }

    fn send(&mut self, key: Key) -> Result<(), Fall> {
        let now = self.now;
        // Settled while it waited to be sent.
        let Some(message) = self.in_flight.get_mut(key) else { return Ok(()) };
        message.queued = false;
        if let Some(outcome) = retry::unsent(message, now) {
            message.producer = trace::stay(&self.app.spans, &message.row, &outcome, self.app.clock.now());
            self.settle(key, outcome);
            return Ok(());
        }
        message.attempt += 1;
        if message.attempt == 1 {
            let time = self.app.clock.now();
            message.first_sent = Some(time);
            message.deadline = retry::deadline(message, now);
            (message.producer, message.span) = trace::depart(&self.app.spans, &message.row, time);
        } else {
            self.counts.resent.inc();
            trace::attempt(message);
        }
        message.refusal = None;
        let composed = self.sender.compose(message, now);
        let size = composed.payload.len();
        failpoint::pass("dispatcher.before_send");
        match self.nats.start_send_unpin(composed) {
            Ok(()) => {}
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                let most = self.nats.max_payload();
                self.settle(key, Outcome::too_large(size, most));
                return Ok(());
            }
            Err(_) => return Err(Fall::Nats),
        }
        failpoint::pass("dispatcher.sent");
        self.counts.sent.inc();
        message.due = retry::after_send(message, self.app.config.dispatch.attempt_timeout, now);
        let unheard = self.lanes.presence(message.lane).is_some_and(|service| !service.is_heard());
        let asks = unheard && !message.is_event() && message.row.protocol == Protocol::JsonRpc;
        message.question = asks.then(|| presence::ask_at(now, message.due));
        if message.is_event() {
            self.barrier.sent(key);
        }
        self.set_timer(key);
        Ok(())
    }

    /// Queues a message for another attempt.
    pub(super) fn send_again(&mut self, key: Key) {
        if let Some(message) = self.in_flight.get_mut(key)
            && !message.queued
        {
            message.queued = true;
            self.outgoing.push_back(key);
        }
    }

    /// Sends again, at once and in their order, what awaits a reply that may have been lost. The inbox of the target makes it one
    /// run; a service that knows nothing of tpro has no inbox, and is given its time.
    pub(super) fn send_flying_again(&mut self, is_meant: impl Fn(&Message) -> bool) {
        let now = self.now;
        let mut keys: Vec<_> = self
            .in_flight
            .keyed()
            .filter(|(_, message)| retry::may_repeat_at_once(message, now) && is_meant(message))
            .map(|(key, message)| (message.row.id, key))
            .collect();
        keys.sort_unstable_by_key(|(id, _)| *id);
        for (_, key) in keys {
            let Some(message) = self.in_flight.get_mut(key) else { continue };
            (message.may_have_run, message.unanswered) = (true, true);
            self.send_again(key);
        }
    }

    /// A copy of this service (`<space>.<service>`) is back: what its connection held is lost, and who found nobody may try again.
    pub(super) fn send_again_to(&mut self, service: &str) {
        self.send_flying_again(|message| {
            message.row.target.subject().strip_prefix(service).is_some_and(|rest| rest.starts_with('.'))
        });
        self.lanes.back(service, self.now);
    }

    /// The server has refused to publish to this subject: nobody has got what was sent there.
    pub(super) fn on_forbidden(&mut self, subject: &str) {
        let refused = self.in_flight.keyed().filter(|(_, message)| {
            message.attempt > 0 && !message.queued && message.row.target.subject() == subject
        });
        let refused: Vec<_> =
            refused.map(|(key, message)| (key, message.attempt, message.is_event())).collect();
        for (key, attempt, is_event) in refused {
            match self.in_flight.get_mut(key).filter(|_| is_event) {
                // It has no budget to be tried again in.
                Some(event) => {
                    let outcome = Outcome::unavailable(event, Refusal::Forbidden);
                    self.settle(key, outcome);
                }
                None => self.refuse(key, attempt, Refusal::Forbidden, CopyId::default()),
            }
        }
    }

    /// Asks the server to send something back, to learn that it has the events before it.
    pub(super) fn ask_echo(&mut self, number: u32) {
        if failpoint::number("dispatcher.echo_lost").is_some() {
            return;
        }
        let subject =
            self.sender.replies().subject(self.app.source.service.as_str(), self.barrier.uid(), number);
        let question = OutboundMessage {
            subject: Subject::from(subject),
            reply: None,
            payload: Bytes::new(),
            headers: None,
        };
        let nats = self.nats.clone();
        // The channel to the client may be full; then the question is dropped, and asked again when it is overdue. Unconstrained,
        // since the sends before it may have used up this task's turn, and the channel would say "later" though it has room.
        let asked = async_nats::client::traits::Publisher::publish_message(&nats, question);
        let _ = tokio::task::unconstrained(asked).now_or_never();
    }

    pub(super) fn on_reply(&mut self, reply: &async_nats::Message) {
        let Some((asked, uid, attempt)) = self.sender.replies().parse(&reply.subject) else {
            return self.count_dropped("subject");
        };
        if uid == *self.barrier.uid() {
            return self.on_echo(attempt);
        }
        let Some(key) = self.in_flight.find(&uid) else {
            self.counts.late_replies.inc();
            return;
        };
        let Some(message) = self.in_flight.get_mut(key) else { return };
        if asked != message.row.target.service() {
            // A server with permissions lets a service publish to the reply subjects that name it.
            return self.count_dropped("responder");
        }
        let said = answer::read(&uid, message.row.protocol, reply);
        let by_others = matches!(
            said,
            Reply::Refused(Refusal::NoResponders) | Reply::Noise(Noise::Status | Noise::StreamAck)
        );
        if !by_others && let Some(service) = self.lanes.presence(message.lane) {
            service.hear();
        }
        if attempt == QUESTION {
            return;
        }
        match said {
            Reply::Answer(outcome) => {
                self.alive(key, CopyId::of(outcome.responder.as_deref()));
                self.settle(key, outcome);
            }
            Reply::Refused(refusal) => {
                let who = CopyId::of(header(reply, headers::RESPONDER));
                self.refuse(key, attempt, refusal, who);
            }
            Reply::Working => self.working(key),
            Reply::Stale => {
                let outcome = Outcome::stale(&message.row.target);
                self.settle(key, outcome);
            }
            Reply::Noise(noise) => {
                message.noise += 1;
                self.count_dropped(noise.as_str());
            }
        }
    }

    fn on_echo(&mut self, number: u32) {
        // The server's refusal of an event was heard before its echo, and may not have been looked at.
        while let Ok(subject) = self.forbidden.try_recv() {
            self.on_forbidden(&subject);
        }
        let connection = self.nats.statistics().connects.load(Ordering::Relaxed);
        match self.barrier.echo(number, connection) {
            Some(Echo::Taken(events)) => {
                events.into_iter().for_each(|key| self.settle(key, Outcome::taken()))
            }
            Some(Echo::Unsure(events)) => events.into_iter().for_each(|key| self.send_again(key)),
            None => {}
        }
    }

    /// Nobody took this attempt.
    fn refuse(&mut self, key: Key, attempt: u32, refusal: Refusal, who: CopyId) {
        let Some(message) = self.in_flight.get_mut(key) else { return };
        if message.is_event() {
            // Nobody is asked to answer one.
            return self.count_dropped("state");
        }
        if attempt != message.attempt || message.phase != Phase::Flying || message.queued {
            // Of an attempt that has been followed by another.
            return;
        }
        let refusal = match refusal {
            Refusal::Overloaded { .. } => Refusal::Overloaded { repeat: message.unanswered },
            other => other,
        };
        let what = refusal.on_the_wire().as_str();
        trace::refused(message, what);
        message.phase = Phase::Refused;
        message.refusal = Some(refusal);
        message.due = message.deadline.unwrap_or(message.due);
        let service = message.row.target.service();
        if self.lanes.refuse(message.lane, key, refusal, who, self.now) {
            tracing::warn!(
                tpro.service = service,
                "nobody runs service {service}: its messages are tried again within their budgets"
            );
        }
        self.counts.refused.get_or_create(&Reason { reason: what }).inc();
        self.set_timer(key);
    }

    /// The target has it and works on it: the attempt is not overdue, and the message may have run.
    fn working(&mut self, key: Key) {
        let Some(message) = self.in_flight.get_mut(key) else { return };
        (message.may_have_run, message.unanswered) = (true, true);
        trace::refused(message, "working");
        if message.phase == Phase::Flying && !message.queued {
            message.due = retry::after_send(message, self.app.config.dispatch.attempt_timeout, self.now);
        }
        let news = self.lanes.present(message.lane);
        say_if(news, message);
    }

    /// A copy of the target's service has answered.
    fn alive(&mut self, key: Key, who: CopyId) {
        let Some(message) = self.in_flight.get_mut(key) else { return };
        let news = self.lanes.alive(message.lane, who, self.now);
        say_if(news, message);
    }

    /// Looks at the messages whose timer has fired, and at the lanes that have rested.
    pub(super) fn watch_timers(&mut self, connected: bool) {
        let mut fired = std::mem::take(&mut self.fired);
        self.timers.fire(self.now, &mut fired);
        fired.drain(..).for_each(|key| self.on_timer(key));
        self.fired = fired;
        if connected {
            self.lanes.recover(self.now);
        }
        while let Some(key) = connected.then(|| self.next_refused()).flatten() {
            if let Some(message) = self.in_flight.get_mut(key) {
                message.phase = Phase::Flying;
            }
            self.send_again(key);
        }
    }

    fn next_refused(&mut self) -> Option<Key> {
        let (in_flight, now) = (&mut self.in_flight, self.now);
        self.lanes.next_refused(now, |key| {
            let message = in_flight.get_mut(key).filter(|message| retry::may_try_again(message, now))?;
            message.refused()
        })
    }

    fn on_timer(&mut self, key: Key) {
        if self
            .in_flight
            .get_mut(key)
            .is_some_and(|message| message.question.is_some_and(|at| self.now >= at))
        {
            self.ask_service(key);
        }
        let connection = self.nats.statistics().connects.load(Ordering::Relaxed);
        let Some(message) = self.in_flight.get_mut(key) else { return };
        message.timer = None;
        match retry::on_timer(message, self.now) {
            Next::Wait(until) => message.due = until,
            Next::Send => {
                // The attempt was not refused, so somebody may have it.
                (message.may_have_run, message.unanswered) = (true, true);
                message.due = message.deadline.unwrap_or(self.now + self.app.config.dispatch.attempt_timeout);
                self.counts.silent.inc();
                self.send_again(key);
            }
            Next::End(end) => {
                let outcome = match end {
                    End::Timeout => {
                        let service = self.lanes.presence(message.lane);
                        let absent =
                            service.as_ref().is_some_and(|service| is_absent(message, service, connection));
                        match absent {
                            true => Outcome::unheard(message),
                            false => {
                                Outcome::timeout(message, service.is_none_or(|service| service.is_heard()))
                            }
                        }
                    }
                    End::Unavailable(refusal) => Outcome::unavailable(message, refusal),
                };
                return self.settle(key, outcome);
            }
        }
        self.set_timer(key);
    }

    /// Has the message looked at when it is due, unless it is looked at before anyway.
    fn set_timer(&mut self, key: Key) {
        let Some(message) = self.in_flight.get_mut(key) else { return };
        let next = message.question.map_or(message.due, |question| question.min(message.due));
        if message.timer.is_none_or(|timer| timer > next) {
            message.timer = Some(next);
            self.timers.set(next, key);
        }
    }

    /// Asks a message's service whether it is there, since nothing has come from it.
    fn ask_service(&mut self, key: Key) {
        let connection = self.nats.statistics().connects.load(Ordering::Relaxed);
        let Some(message) = self.in_flight.get_mut(key) else { return };
        message.question = None;
        let Some(service) = self.lanes.presence(message.lane).filter(|service| service.may_ask(self.now))
        else {
            return;
        };
        let question = OutboundMessage {
            subject: Subject::from(message.row.target.subject()),
            reply: Some(Subject::from(self.sender.replies().subject(
                message.row.target.service(),
                &message.row.uid,
                QUESTION,
            ))),
            payload: Bytes::new(),
            headers: Some(presence::question()),
        };
        let nats = self.nats.clone();
        let sent = async_nats::client::traits::Publisher::publish_message(&nats, question);
        // A question for which the client has no room just now is not asked, and then nothing is said of the answer.
        if let Some(Ok(())) = tokio::task::unconstrained(sent).now_or_never() {
            service.asked(self.now, connection);
        }
    }

    fn count_dropped(&self, reason: &'static str) {
        self.counts.dropped_replies.get_or_create(&Reason { reason }).inc();
    }
}

/// Says that somebody runs the target's service again, if that is news.
fn say_if(news: bool, message: &Message) {
    if news {
        let service = message.row.target.service();
        tracing::info!(tpro.service = service, "service {service} answers again");
    }
}

/// Whether nothing has ever come from a message's service, and it was asked whether it is there while the message waited.
/// What a leader before us may have sent is another matter: it may have heard more than we.
fn is_absent(message: &Message, service: &Presence, connection: u64) -> bool {
    let sent = message.deadline.and_then(|deadline| deadline.checked_sub(message.row.budget.duration()));
    !message.recovered && sent.is_some_and(|sent| service.is_absent(sent, connection))
}
