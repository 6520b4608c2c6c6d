//! Attempts: a message is handed to the NATS client, and again.

use tpro_runtime::presence;
use tpro_wire::Protocol;

use super::{Fall, Leader};
use crate::core::{in_flight::Key, message::Message, retry, trace};

/// Messages handed to the NATS client at a time, before replies are looked at again.
const SENDS: usize = 256;

impl Leader {
    /// Sends what the client takes without waiting; there is room for one at least.
    pub(super) fn send_some(&mut self) -> Result<(), Fall> {
        for _ in 0..SENDS {
            let Some(key) = self.sending.next() else { break };
            self.send(key)?;
            if !self.sending.has_room()? {
                break;
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
        if let Some(outcome) = self.sending.send(message, now)? {
            self.settle(key, outcome);
            return Ok(());
        }
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
            self.sending.push(key);
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
}
