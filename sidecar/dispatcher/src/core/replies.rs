//! Replies to attempts: of targets, and of the server.

use tpro_runtime::{metrics::Reason, presence::QUESTION};
use tpro_wire::{go, headers, reply::Noise};

use super::{
    Action, Core, Question,
    answer::{self, Reply},
    barrier::{Echo, Unanswered},
    in_flight::Key,
    incoming::Incoming,
    lane::CopyId,
    message::{Later, Message, Refusal, Stage},
    outcome::Outcome,
    retry, trace,
};

impl Core {
    /// Something has come back on a reply subject.
    pub(super) fn on_reply(&mut self, reply: &Incoming<'_>) {
        let Some((asked, uid, attempt)) = self.settings.replies.parse(reply.subject) else {
            return self.count_dropped("subject");
        };
        if uid == *self.link.echo_uid() {
            return self.on_echo(attempt);
        }
        if self.settings.go == Some(uid) {
            return self.on_belt_reply(asked, attempt, reply);
        }
        let Some((key, message)) = self.messages.find(&uid) else {
            self.counts.late_replies.inc();
            return;
        };
        if asked != message.row.target.service() {
            // A server with permissions lets a service publish to the reply subjects that name it.
            return self.count_dropped("responder");
        }
        let said = answer::read(&message.row, reply);
        let by_others = matches!(
            said,
            Reply::Refused(Refusal::NoResponders) | Reply::Noise(Noise::Status | Noise::StreamAck)
        );
        if !by_others
            && !message.row.is_acked
            && let Some(service) = self.lanes.presence(message.lane)
        {
            service.hear();
        }
        if attempt == QUESTION {
            return;
        }
        match said {
            Reply::Answer(outcome) => {
                let who = CopyId::of(outcome.responder.as_deref());
                let news = self.lanes.alive(message.lane, who, self.now);
                say_if(news, message);
                self.settle(key, outcome);
            }
            Reply::Refused(refusal) => {
                let who = CopyId::of(reply.header(headers::RESPONDER));
                self.refuse(key, attempt, refusal, who);
            }
            Reply::Later { after, error, responder } => {
                let who = CopyId::of(responder.as_deref());
                let news = self.lanes.alive(message.lane, who, self.now);
                say_if(news, message);
                self.put_off(key, attempt, Later { until: self.now + after, error, responder });
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

    /// A message of our own has come back: the server has what went before it, or nobody knows.
    fn on_echo(&mut self, number: u32) {
        match self.link.echo(number) {
            Some(Echo::Taken(sent)) => sent.into_iter().for_each(|message| match message {
                Unanswered::Event(key) => self.settle(key, Outcome::taken()),
                Unanswered::Reply(id) => self.forwarded(id),
            }),
            Some(Echo::Unsure(sent)) => {
                sent.into_iter().for_each(|message| self.send_unanswered_again(message));
            }
            None => {}
        }
    }

    /// Nobody took this attempt.
    fn refuse(&mut self, key: Key, attempt: u32, refusal: Refusal, who: CopyId) {
        let Some(message) = self.messages.get_mut(key) else { return };
        if message.is_event() {
            // Nobody is asked to answer one.
            return self.count_dropped("state");
        }
        if attempt != message.attempt || message.stage != Stage::Sent {
            // Of an attempt that has been followed by another.
            return;
        }
        let refusal = match refusal {
            Refusal::Overloaded { .. } => Refusal::Overloaded { repeat: message.ran.is_unanswered() },
            other => other,
        };
        let what = refusal.on_the_wire().as_str();
        trace::refused(message, what);
        message.stage = Stage::Refused(refusal);
        message.due = message.deadline.unwrap_or(message.due);
        let service = message.row.target.service();
        if self.lanes.refuse(message.lane, key, refusal, who, self.now) {
            tracing::warn!(
                tpro.service = service,
                "nobody runs service {service}: its messages are tried again within their budgets"
            );
        }
        self.counts.refused.get_or_create(&Reason { reason: what }).inc();
        self.messages.set_timer(key);
    }

    /// The target has it and works on it: the attempt is not overdue, and the message may have run.
    fn working(&mut self, key: Key) {
        let Some(message) = self.messages.get_mut(key) else { return };
        message.ran.goes_unanswered();
        trace::refused(message, "working");
        if message.stage == Stage::Sent {
            message.due = retry::after_send(message, self.settings.attempt_timeout, self.now);
        }
        let news = self.lanes.present(message.lane);
        say_if(news, message);
    }

    /// The server has refused to publish to this subject: nobody has got what was sent there.
    pub(super) fn on_forbidden(&mut self, subject: &str) {
        if let Some(lane) = go::asked(subject) {
            return self.on_forbidden_belt(lane);
        }
        let refused = self.messages.keyed().filter(|(_, message)| {
            message.attempt > 0 && !message.is_queued() && message.row.target.subject() == subject
        });
        let refused: Vec<_> =
            refused.map(|(key, message)| (key, message.attempt, message.is_event())).collect();
        for (key, attempt, is_event) in refused {
            match self.messages.get(key).filter(|_| is_event) {
                // It has no budget to be tried again in.
                Some(event) => {
                    let outcome = Outcome::unavailable(event, Refusal::Forbidden);
                    self.settle(key, outcome);
                }
                None => self.refuse(key, attempt, Refusal::Forbidden, CopyId::default()),
            }
        }
    }

    /// Asks the server to send something back, if it is time, to learn that it has what went before
    /// it.
    pub(super) fn ask_echo(&mut self) {
        if let Some(number) = self.link.ask_echo(self.now) {
            let own = self.settings.service.as_str();
            let subject = self.settings.replies.subject(own, self.link.echo_uid(), number);
            // A question for which NATS has no room is asked again when it is overdue.
            self.actions.push_back(Action::Ask(Question::Echo { subject }));
        }
    }

    pub(super) fn count_dropped(&self, reason: &'static str) {
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
