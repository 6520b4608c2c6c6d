//! The time of messages in flight: when each is looked at, and what is done then.

use tpro_runtime::presence::{self, Presence, QUESTION};

use super::Leader;
use crate::core::{
    in_flight::Key,
    message::{Message, Phase},
    outcome::Outcome,
    retry::{self, End, Next},
};

impl Leader {
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
        let connection = self.sending.connection();
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
    pub(super) fn set_timer(&mut self, key: Key) {
        let Some(message) = self.in_flight.get_mut(key) else { return };
        let next = message.question.map_or(message.due, |question| question.min(message.due));
        if message.timer.is_none_or(|timer| timer > next) {
            message.timer = Some(next);
            self.timers.set(next, key);
        }
    }

    /// Asks a message's service whether it is there, since nothing has come from it.
    fn ask_service(&mut self, key: Key) {
        let connection = self.sending.connection();
        let Some(message) = self.in_flight.get_mut(key) else { return };
        message.question = None;
        let Some(service) = self.lanes.presence(message.lane).filter(|service| service.may_ask(self.now))
        else {
            return;
        };
        let target = &message.row.target;
        let reply = self.sending.replies().subject(target.service(), &message.row.uid, QUESTION);
        // A question for which the client has no room just now is not asked, and then nothing is said of the answer.
        if self.sending.ask(target.subject().to_owned(), Some(reply), Some(presence::question())) {
            service.asked(self.now, connection);
        }
    }
}

/// True if nothing has ever come from a message's service, and it was asked if it is there while the message waited.
/// A message that a leader before us may have sent is another matter: that leader may have heard more than we.
fn is_absent(message: &Message, service: &Presence, connection: u64) -> bool {
    let sent = message.deadline.and_then(|deadline| deadline.checked_sub(message.row.budget.duration()));
    !message.recovered && sent.is_some_and(|sent| service.is_absent(sent, connection))
}
