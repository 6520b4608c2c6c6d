//! A client that publishes a message and looks for its reply.
//!
//! It has a thread to itself: the timers of an asynchronous runtime are too coarse for looks every
//! tenth of a millisecond.

use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, Statement};
use tpro_testkit::postgres::connect;
use tpro_testkit::{Failure, Outcome};

/// The time between two looks.
pub const LOOKS: Duration = Duration::from_micros(100);
/// The longest wait for a reply: then something is broken.
pub const LIMIT: Duration = Duration::from_secs(30);

/// The statements of a client.
#[derive(Clone, Debug)]
pub struct Statements {
    /// Publishes, and returns the id.
    pub publish: String,
    /// The ids that have a reply, among those of the array, and if the reply is good.
    pub look: String,
}

/// A client with its connection.
pub struct Session {
    // The client goes before the runtime that its connection is on.
    client: Client,
    publish: Statement,
    look: Statement,
    runtime: Runtime,
}

impl Session {
    /// Connects.
    pub fn open(url: &str, statements: &Statements) -> Outcome<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (client, publish, look) = runtime.block_on(async {
            let client = connect(url).await?;
            let publish = client.prepare(&statements.publish).await?;
            let look = client.prepare(&statements.look).await?;
            Outcome::Ok((client, publish, look))
        })?;
        Ok(Self { client, publish, look, runtime })
    }

    /// Publishes a message, and returns its id when the commit has returned.
    pub fn publish(&self) -> Outcome<i64> {
        Ok(self.runtime.block_on(self.client.query_one(&self.publish, &[]))?.get(0))
    }

    /// The process of the server that serves it.
    pub fn backend(&self) -> Outcome<i32> {
        Ok(self.runtime.block_on(self.client.query_one("SELECT pg_backend_pid()", &[]))?.get(0))
    }

    /// Those of the ids that have a reply by now.
    pub fn replied(&self, ids: &[i64]) -> Outcome<Vec<i64>> {
        let rows = self.runtime.block_on(self.client.query(&self.look, &[&ids]))?;
        let good = |row: &tokio_postgres::Row| match row.get(1) {
            true => Ok(row.get(0)),
            false => Err(Failure::new(format!("the reply to message {} is not ok", row.get::<_, i64>(0)))),
        };
        rows.iter().map(good).collect()
    }

    /// Waits until the message has a reply.
    pub fn await_reply(&self, id: i64) -> Outcome {
        let began = Instant::now();
        loop {
            let look = Instant::now();
            if !self.replied(&[id])?.is_empty() {
                return Ok(());
            }
            if began.elapsed() > LIMIT {
                return Err(Failure::new(format!("message {id} has no reply after {} s", LIMIT.as_secs())));
            }
            thread::sleep(LOOKS.saturating_sub(look.elapsed()));
        }
    }
}
