//! The way in which the leader learns that the NATS server has its events, and the replies that it
//! has published.
//!
//! Nobody answers these, and the client's `flush` only says that the bytes have left the process.
//! So after a batch of them the leader publishes to a reply subject of its own and waits for that
//! message to come back: a connection is handled in order, so by then the server has all that went
//! before it. That holds for one connection only; when there was another one in between, they are
//! sent again.

use std::time::{Duration, Instant};

use super::in_flight::Key;
use tpro_wire::uid::Uid;

/// The time for an echo after which another is asked for.
const OVERDUE: Duration = Duration::from_secs(2);

/// A message that nobody answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// An event.
    Event(Key),
    /// The reply of this row, for the subscribers of its label.
    Reply(i64),
}

struct Asked {
    number: u32,
    at: Instant,
    sent: Vec<Unanswered>,
}

/// Messages on their way to the server that nobody answers.
pub struct Barrier {
    /// Random: nobody else can send the echo.
    uid: Uid,
    next: u32,
    /// The connection that they and the question went over; it changes with each reconnect.
    connection: u64,
    sent: Vec<Unanswered>,
    asked: Option<Asked>,
}

/// The word of an echo on what went before it.
#[derive(Debug, PartialEq, Eq)]
pub enum Echo {
    /// The server has them.
    Taken(Vec<Unanswered>),
    /// The connection was another one; who knows.
    Unsure(Vec<Unanswered>),
}

impl Barrier {
    pub fn new(uid: Uid, connection: u64) -> Self {
        Self { uid, next: 1, connection, sent: Vec::new(), asked: None }
    }

    pub fn uid(&self) -> &Uid {
        &self.uid
    }

    /// A message was published.
    pub fn sent(&mut self, message: Unanswered) {
        self.sent.push(message);
    }

    /// The number of the echo to ask for now, if there is something to ask for and no other is
    /// under way.
    pub fn ask(&mut self, now: Instant) -> Option<u32> {
        let overdue = self.asked.as_ref().is_some_and(|asked| now >= asked.at + OVERDUE);
        if overdue && let Some(asked) = self.asked.take() {
            self.sent.extend(asked.sent);
        }
        if self.sent.is_empty() || self.asked.is_some() {
            return None;
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.asked = Some(Asked { number, at: now, sent: std::mem::take(&mut self.sent) });
        Some(number)
    }

    /// When to ask `ask` again.
    pub fn due(&self) -> Option<Instant> {
        self.asked.as_ref().map(|asked| asked.at + OVERDUE)
    }

    /// An echo has come back. None when it is none that is waited for.
    pub fn echo(&mut self, number: u32, connection: u64) -> Option<Echo> {
        let asked = self.asked.take_if(|asked| asked.number == number)?;
        Some(if connection == self.connection {
            Echo::Taken(asked.sent)
        } else {
            self.unsure(connection, asked.sent)
        })
    }

    /// The connection now; what was sent over another one is to be sent again.
    pub fn connected(&mut self, connection: u64) -> Option<Echo> {
        (connection != self.connection).then(|| {
            let sent = self.asked.take().map(|asked| asked.sent).unwrap_or_default();
            self.unsure(connection, sent)
        })
    }

    fn unsure(&mut self, connection: u64, mut sent: Vec<Unanswered>) -> Echo {
        self.connection = connection;
        sent.append(&mut self.sent);
        Echo::Unsure(sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn barrier() -> Barrier {
        Barrier::new(Uid::v7(1, [1; 10]), 1)
    }

    fn key(slot: u32) -> Unanswered {
        Unanswered::Event(Key { slot, turn: 0 })
    }

    #[test]
    fn one_echo_covers_all_events_before_it() {
        let (mut barrier, now) = (barrier(), Instant::now());
        assert_eq!(barrier.ask(now), None);
        barrier.sent(key(1));
        barrier.sent(Unanswered::Reply(2));
        assert_eq!(barrier.ask(now), Some(1));
        barrier.sent(key(3));
        assert_eq!(barrier.ask(now), None, "one at a time");
        assert_eq!(barrier.echo(7, 1), None);
        assert_eq!(barrier.echo(1, 1), Some(Echo::Taken(vec![key(1), Unanswered::Reply(2)])));
        assert_eq!(barrier.echo(1, 1), None);
        assert_eq!(barrier.ask(now), Some(2));
    }

    #[test]
    fn after_a_reconnect_nothing_is_known_of_what_was_sent_before() {
        let (mut barrier, now) = (barrier(), Instant::now());
        barrier.sent(key(1));
        barrier.ask(now);
        barrier.sent(key(2));
        assert_eq!(barrier.echo(1, 2), Some(Echo::Unsure(vec![key(1), key(2)])));
        assert_eq!(barrier.connected(2), None);
        barrier.sent(key(3));
        assert_eq!(barrier.connected(3), Some(Echo::Unsure(vec![key(3)])));
    }

    #[test]
    fn an_echo_that_does_not_come_is_asked_for_again() {
        let (mut barrier, now) = (barrier(), Instant::now());
        barrier.sent(key(1));
        assert_eq!(barrier.ask(now), Some(1));
        assert_eq!(barrier.ask(barrier.due().expect("one is under way")), Some(2));
        assert_eq!(barrier.echo(1, 1), None);
        assert_eq!(barrier.echo(2, 1), Some(Echo::Taken(vec![key(1)])));
    }
}
