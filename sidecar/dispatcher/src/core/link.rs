//! The connection to NATS, and what went over it that nobody answers.

use std::time::{Duration, Instant};

use tpro_wire::uid::Uid;

use super::barrier::{Barrier, Echo, Unanswered};

/// The time for which a leader without NATS keeps the lock; then a copy that reaches NATS leads.
pub const NATS_PATIENCE: Duration = Duration::from_secs(10);

/// The connection to NATS.
pub struct Link {
    up: bool,
    /// The number of the connection; it changes with each reconnect.
    number: u64,
    /// When NATS was last seen to be there.
    seen: Instant,
    barrier: Barrier,
}

impl Link {
    /// The connection that there is at the beginning. Echoes come under this uid.
    pub fn new(echo: Uid, number: u64, now: Instant) -> Self {
        Self { up: true, number, seen: now, barrier: Barrier::new(echo, number) }
    }

    /// True while NATS is connected.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// The number of the connection.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The connection now. Returns the messages of which nothing is known, if there was another one
    /// in between.
    pub fn is_now(&mut self, up: bool, number: u64, now: Instant) -> Option<Vec<Unanswered>> {
        (self.up, self.number) = (up, number);
        if !up {
            return None;
        }
        self.seen = now;
        self.barrier.connected(number).map(|echo| match echo {
            Echo::Taken(sent) | Echo::Unsure(sent) => sent,
        })
    }

    /// When the leadership is given up, if NATS does not come back; none while it is there.
    pub fn patience_ends(&self) -> Option<Instant> {
        (!self.up).then(|| self.seen + NATS_PATIENCE)
    }

    /// A message was sent that nobody answers.
    pub fn unanswered_sent(&mut self, message: Unanswered) {
        self.barrier.sent(message);
    }

    /// The uid under which echoes come.
    pub fn echo_uid(&self) -> &Uid {
        self.barrier.uid()
    }

    /// The number of the echo to ask for now, if any.
    pub fn ask_echo(&mut self, now: Instant) -> Option<u32> {
        if self.up { self.barrier.ask(now) } else { None }
    }

    /// An echo has come back.
    pub fn echo(&mut self, number: u32) -> Option<Echo> {
        self.barrier.echo(number, self.number)
    }

    /// When to look at the echo again.
    pub fn echo_due(&self) -> Option<Instant> {
        self.barrier.due().filter(|_| self.up)
    }
}
