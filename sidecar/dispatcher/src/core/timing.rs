//! The time of messages in flight: when each is looked at, and what is done then.

use std::time::Instant;

use tpro_runtime::presence::{Presence, QUESTION};

use super::{
    Action, Core, Question,
    in_flight::Key,
    message::Message,
    outcome::Outcome,
    retry::{self, End, Next},
};

impl Core {
    /// Looks at the messages whose timer has fired, and at the lanes that have rested.
    pub(super) fn watch_timers(&mut self) {
        let fired = self.messages.fired(self.now);
        fired.iter().for_each(|key| self.on_timer(*key));
        self.messages.looked_at(fired);
        if !self.link.is_up() {
            return;
        }
        self.lanes.recover(self.now);
        while let Some(key) = self.next_refused() {
            self.messages.send_again(key);
        }
    }

    fn next_refused(&mut self) -> Option<Key> {
        let (messages, now) = (&self.messages, self.now);
        self.lanes.next_refused(now, |key| {
            let message = messages.get(key).filter(|message| retry::may_try_again(message, now))?;
            message.refused()
        })
    }

    fn on_timer(&mut self, key: Key) {
        self.ask_service(key);
        let Some(message) = self.messages.get_mut(key) else { return };
        message.timer = None;
        let next = retry::on_timer(message, self.now);
        let is_closed = self.lanes.is_closed(message.lane);
        match next {
            Next::Wait(until) => message.due = until,
            // A copy of the Go system answers now: it would end at this, too.
            Next::Send | Next::Again if is_closed => {
                let pause = self.now + self.settings.attempt_timeout;
                message.due = message.deadline.map_or(pause, |deadline| deadline.min(pause));
            }
            Next::Send => {
                // The attempt was not refused, so somebody may have it.
                message.ran.goes_unanswered();
                message.due = message.deadline.unwrap_or(self.now + self.settings.attempt_timeout);
                self.counts.silent.inc();
                self.messages.send_again(key);
            }
            Next::Again => {
                message.due = message.deadline.unwrap_or(self.now + self.settings.attempt_timeout);
                self.lanes.come_back(message.lane);
                self.messages.send_again(key);
            }
            Next::End(End::Timeout) => return self.time_out(key),
            Next::End(End::PutOff) => {
                let Some(later) = message.later.take() else { return self.time_out(key) };
                return self.settle(key, Outcome::error(&later.error, later.responder));
            }
            Next::End(End::Unavailable(refusal)) => {
                let outcome = Outcome::unavailable(message, refusal);
                return self.settle(key, outcome);
            }
        }
        self.messages.set_timer(key);
    }

    /// Nobody has answered within the budget.
    fn time_out(&mut self, key: Key) {
        let Some(message) = self.messages.get(key) else { return };
        let service = self.lanes.presence(message.lane);
        let (now, connection) = (self.now, self.link.number());
        let absent = service.as_ref().is_some_and(|service| is_absent(message, service, now, connection));
        let outcome = match absent {
            true => Outcome::unheard(message),
            false => Outcome::timeout(message, service.is_none_or(|service| service.is_heard())),
        };
        self.settle(key, outcome);
    }

    /// Asks a message's service if it is there, when it is time, since nothing has come from it.
    fn ask_service(&mut self, key: Key) {
        let Some(message) = self.messages.get_mut(key) else { return };
        if message.question.take_if(|at| self.now >= *at).is_none()
            || !self.lanes.asks(message.lane, self.now)
        {
            return;
        }
        let target = &message.row.target;
        let reply = self.settings.replies.subject(target.service(), &message.row.uid, QUESTION);
        // A question for which NATS has no room just now is not asked, and then nothing is said of
        // the answer.
        let (lane, subject) = (message.lane, target.subject().to_owned());
        self.actions.push_back(Action::Ask(Question::Presence { lane, subject, reply }));
    }
}

/// True if nothing has ever come from a message's service, and it was asked if it is there while
/// the message waited. A message that a leader before us may have sent is another matter: that
/// leader may have heard more than we.
fn is_absent(message: &Message, service: &Presence, now: Instant, connection: u64) -> bool {
    let sent = message.deadline.and_then(|deadline| deadline.checked_sub(message.row.budget.duration()));
    let is_service = !message.row.is_acked && !message.ran.is_by_earlier_leader();
    is_service && sent.is_some_and(|sent| service.is_absent(sent, now, connection))
}
