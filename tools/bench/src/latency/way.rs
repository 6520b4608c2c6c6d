//! A way from a message to its reply, with clients of its own: the floor's, or tpro's in one mode.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use tpro_testkit::{Database, Failure, Outcome};

use super::arrival::{Arrival, moments};
use crate::mode::Mode;
use crate::session::{LIMIT, LOOKS, Session, Statements};

/// Clients that publish at random moments: so many that one is always free.
const PUBLISHERS: usize = 8;
/// The pause before the first message of a Poisson process, in which all clients get ready.
const LEAD: Duration = Duration::from_millis(5);

/// A way.
pub struct Way {
    publishers: Vec<Session>,
    watcher: Session,
}

impl Way {
    /// The floor's.
    pub fn of_floor(database: &Database) -> Outcome<Self> {
        Self::open(database, &super::floor::statements())
    }

    /// That of tpro in a mode.
    pub fn of_mode(database: &Database, mode: Mode) -> Outcome<Self> {
        let publish = format!("{} RETURNING id", statement(mode));
        let look =
            "SELECT mq_id::bigint, status = 'ok' FROM main_service.mq_reply WHERE mq_id = ANY($1::bigint[])";
        Self::open(database, &Statements { publish, look: look.to_owned() })
    }

    /// That of these statements.
    pub fn open(database: &Database, statements: &Statements) -> Outcome<Self> {
        let session = || Session::open(&database.role_url("main"), statements);
        Ok(Self {
            publishers: (0..PUBLISHERS).map(|_| session()).collect::<Outcome<_>>()?,
            watcher: session()?,
        })
    }

    /// The milliseconds that each message of a round took.
    pub fn round(&self, arrival: Arrival, messages: usize, seed: u64) -> Outcome<Vec<f64>> {
        match arrival {
            Arrival::Gap(gap) => self.one_at_a_time(gap, messages),
            Arrival::Poisson(rate) => self.at(&moments(rate, messages, seed)),
        }
    }

    /// From the end of the commit.
    fn one_at_a_time(&self, gap: Duration, messages: usize) -> Outcome<Vec<f64>> {
        let client = &self.watcher;
        let mut took = Vec::with_capacity(messages);
        for _ in 0..messages {
            thread::sleep(gap);
            let id = client.publish()?;
            let committed = Instant::now();
            client.await_reply(id)?;
            took.push(ms(committed.elapsed()));
        }
        Ok(took)
    }

    /// From the moment at which each message was to be published, so that a client that is late
    /// hides nothing.
    fn at(&self, moments: &[Duration]) -> Outcome<Vec<f64>> {
        let (start, next) = (Instant::now() + LEAD, AtomicUsize::new(0));
        let (sent, committed) = channel();
        let publish = |client: &Session, sent: Sender<(i64, Instant)>| -> Outcome {
            while let Some(moment) = moments.get(next.fetch_add(1, Ordering::Relaxed)) {
                let intended = start + *moment;
                thread::sleep(intended.saturating_duration_since(Instant::now()));
                let id = client.publish()?;
                // A watcher that has failed says why by itself.
                let _ = sent.send((id, intended));
            }
            Ok(())
        };
        let publish = &publish;
        thread::scope(|scope| {
            let publishers: Vec<_> = self
                .publishers
                .iter()
                .map(|client| {
                    let sent = sent.clone();
                    scope.spawn(move || publish(client, sent))
                })
                .collect();
            drop(sent);
            let took = watch(&self.watcher, &committed);
            for publisher in publishers {
                publisher.join().map_err(|_| Failure::new("a publisher panicked"))??;
            }
            took
        })
    }
}

/// The statement that publishes.
pub fn statement(mode: Mode) -> String {
    format!(
        r#"INSERT INTO main_service.mq_publish (service_name,entity,method_name,body)
           VALUES ('echo','bench','{}','{{"ip":"172.19.0.8", "login":"login342", "password":"phnd26w"}}')"#,
        mode.method()
    )
}

/// The milliseconds from the intended moment of each message to its reply, until all publishers
/// are gone and all messages have one.
fn watch(client: &Session, committed: &Receiver<(i64, Instant)>) -> Outcome<Vec<f64>> {
    let mut waiting: HashMap<i64, Instant> = HashMap::new();
    let mut took = Vec::new();
    loop {
        let look = Instant::now();
        let over = loop {
            match committed.try_recv() {
                Ok((id, intended)) => waiting.insert(id, intended),
                Err(end) => break end == TryRecvError::Disconnected,
            };
        };
        if waiting.is_empty() {
            if over {
                return Ok(took);
            }
        } else {
            let ids: Vec<i64> = waiting.keys().copied().collect();
            for id in client.replied(&ids)? {
                took.extend(waiting.remove(&id).map(|intended| ms(intended.elapsed())));
            }
        }
        if waiting.values().any(|intended| intended.elapsed() > LIMIT) {
            return Err(Failure::new(format!("{} messages have no reply in time", waiting.len())));
        }
        thread::sleep(LOOKS.saturating_sub(look.elapsed()));
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
