//! Sessions that publish, one transaction after the other, until they are told to stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_postgres::Client;
use tpro_testkit::Outcome;
use tpro_testkit::postgres::connect;

use crate::ledger::Ledger;
use crate::random::Random;
use crate::shape::{self, Doubt};
use crate::traffic::{Mark, SESSION};

/// Marks of a publisher, far more than it can use.
const MARKS: Mark = 1 << 32;
/// The longest time for connecting.
const CONNECT: Duration = Duration::from_secs(5);

/// The publishers.
pub struct Publishers {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Publishers {
    /// Starts this number of publishers.
    pub fn start(url: &str, seed: u64, count: u64, ledger: &Arc<Ledger>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for number in 1..=count {
            let publisher = Publisher {
                url: url.to_owned(),
                random: Random::part(seed, 1_000 + number),
                next: number * MARKS,
                doubt: None,
                ledger: ledger.clone(),
                stopped: stopped.clone(),
            };
            tasks.spawn(publisher.run());
        }
        Self { tasks, stop }
    }

    /// Lets each finish the transaction it is in, and waits for them.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

struct Publisher {
    url: String,
    random: Random,
    next: Mark,
    doubt: Doubt,
    ledger: Arc<Ledger>,
    stopped: watch::Receiver<bool>,
}

impl Publisher {
    async fn run(mut self) {
        while !self.is_stopped() {
            // Refused, cut off, no answer: the next one.
            if let Ok(Ok(session)) = tokio::time::timeout(CONNECT, open(&self.url)).await {
                // The transaction in which the session before was cut off may still commit.
                self.next = (self.next / SESSION + 1) * SESSION;
                self.publish(session).await;
            }
            let pause = self.random.millis(50, 300);
            self.pause(pause).await;
        }
    }

    /// Publishes for as long as the session lives.
    async fn publish(&mut self, session: Client) {
        while !self.is_stopped() {
            let (random, next, doubt) = (&mut self.random, &mut self.next, &mut self.doubt);
            let (entry, alive) = shape::transaction(&session, random, next, doubt).await;
            self.ledger.write(entry);
            if !alive {
                return;
            }
            let pause = self.random.millis(5, 120);
            self.pause(pause).await;
        }
    }

    async fn pause(&mut self, length: Duration) {
        // Ends at once when we are told to stop; the sender outlives us.
        let _ = tokio::time::timeout(length, self.stopped.wait_for(|stopped| *stopped)).await;
    }

    fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }
}

async fn open(url: &str) -> Outcome<Client> {
    let session = connect(url).await?;
    // Transactions that a broken line has left open must not stay for ever.
    session
        .batch_execute(
            "SET application_name = 'chaos/publisher'; SET idle_in_transaction_session_timeout = '25s';
             SET statement_timeout = '25s'",
        )
        .await?;
    Ok(session)
}
