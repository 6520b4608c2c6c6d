//! Attempts: a message is handed to NATS, and again.

use tpro_runtime::presence;
use tpro_wire::Protocol;

use super::{
    Core,
    barrier::Unanswered,
    in_flight::Key,
    message::{Message, Stage},
    outcome::Outcome,
    retry, trace,
};

impl Core {
    /// The next message that is handed to NATS, if it may be and NATS has room. Its attempt is
    /// counted.
    pub(super) fn next_to_send(&mut self) -> Option<Key> {
        if !self.room || !self.may_send() {
            return None;
        }
        while let Some(key) = self.messages.next_queued() {
            if self.begin_attempt(key) {
                self.room = false;
                return Some(key);
            }
        }
        None
    }

    /// Counts the next attempt of a message. Returns false if it has expired before the first; then
    /// it is settled.
    fn begin_attempt(&mut self, key: Key) -> bool {
        let (now, time) = (self.now, self.time());
        let Some(message) = self.messages.get_mut(key) else { return false };
        if let Some(outcome) = retry::unsent(message, now) {
            message.producer = trace::stay(&self.spans, &message.row, &outcome, time);
            self.settle(key, outcome);
            return false;
        }
        message.attempt += 1;
        message.stage = Stage::Sent;
        if message.attempt == 1 {
            message.first_sent = Some(time);
            message.deadline = retry::deadline(message, now);
            (message.producer, message.span) = trace::depart(&self.spans, &message.row, time);
        } else {
            self.counts.resent.inc();
            trace::attempt(message);
        }
        true
    }

    /// NATS has a message.
    pub(super) fn on_sent(&mut self, key: Key) {
        let Some(message) = self.messages.get_mut(key) else { return };
        self.counts.sent.inc();
        message.due = retry::after_send(message, self.settings.attempt_timeout, self.now);
        let unheard = self.lanes.presence(message.lane).is_some_and(|service| !service.is_heard());
        let is_known = message.row.protocol == Protocol::JsonRpc && !message.row.is_acked;
        let asks = unheard && !message.is_event() && is_known;
        message.question = asks.then(|| presence::ask_at(self.now, message.due));
        if message.is_event() {
            self.link.unanswered_sent(Unanswered::Event(key));
        }
        self.messages.set_timer(key);
    }

    /// A message is larger than NATS takes.
    pub(super) fn on_too_large(&mut self, key: Key, size: usize, most: usize) {
        self.settle(key, Outcome::too_large(size, most));
    }

    /// The connection now. An event or a published reply is known only for the connection that it
    /// went over to be at the server, and requests and replies that a lost connection held are
    /// lost: after a reconnect, these are sent again.
    pub(super) fn on_connection(&mut self, up: bool, number: u64) {
        if let Some(sent) = self.link.is_now(up, number, self.now) {
            sent.into_iter().for_each(|message| self.send_unanswered_again(message));
            self.send_flying_again(|_| true);
            self.lanes.ask_for_go_again();
        }
    }

    /// Nobody knows if the server has it.
    pub(super) fn send_unanswered_again(&mut self, message: Unanswered) {
        match message {
            Unanswered::Event(key) => self.messages.send_again(key),
            Unanswered::Reply(id) => self.forwarding.again(id),
        }
    }

    /// Sends again, at once and in their order, what awaits a reply that may have been lost. The
    /// inbox of the target makes it one run; a service that knows nothing of tpro has no inbox, and
    /// is given its time.
    fn send_flying_again(&mut self, is_meant: impl Fn(&Message) -> bool) {
        let now = self.now;
        let mut keys: Vec<_> = self
            .messages
            .keyed()
            .filter(|(_, message)| retry::may_repeat_at_once(message, now) && is_meant(message))
            .filter(|(_, message)| !self.lanes.is_closed(message.lane))
            .map(|(key, message)| (message.row.id, key))
            .collect();
        keys.sort_unstable_by_key(|(id, _)| *id);
        for (_, key) in keys {
            let Some(message) = self.messages.get_mut(key) else { continue };
            message.ran.goes_unanswered();
            self.messages.send_again(key);
        }
    }

    /// A copy of this service (`<space>.<service>`) is back: what its connection held is lost, and
    /// a message that found nobody may try again.
    pub(super) fn on_back(&mut self, service: &str) {
        self.send_flying_again(|message| {
            message.row.target.subject().strip_prefix(service).is_some_and(|rest| rest.starts_with('.'))
        });
        self.lanes.back(service, self.now);
    }
}
