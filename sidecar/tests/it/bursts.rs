//! Much at once: a large transaction, and many small ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_postgres::{AsyncMessage, Client, NoTls};
use tpro_testkit::{Message, Outcome, World, eventually};

use crate::answerer::Answerer;
use crate::cursor::asleep;

/// Somebody who hears the bell of `main`.
pub struct Listener {
    session: Client,
    heard: Arc<AtomicUsize>,
    marks: Arc<AtomicUsize>,
    asked: usize,
}

impl Listener {
    /// From now on.
    pub async fn start(world: &World) -> Outcome<Listener> {
        let (session, mut connection) = tokio_postgres::connect(&world.database.url(), NoTls).await?;
        let (heard, marks) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counters = (heard.clone(), marks.clone());
        tokio::spawn(async move {
            while let Some(Ok(message)) =
                std::future::poll_fn(|context| connection.poll_message(context)).await
            {
                if let AsyncMessage::Notification(bell) = message {
                    let counter = if bell.channel() == "mark" { &counters.1 } else { &counters.0 };
                    counter.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        session.batch_execute("LISTEN published_in_main_service; LISTEN mark").await?;
        Ok(Listener { session, heard, marks, asked: 0 })
    }

    /// How often the bell has rung so far. Notifications come in the order of commits, so that one of our own is the last.
    pub async fn heard(&mut self) -> Outcome<usize> {
        self.asked += 1;
        self.session.batch_execute("NOTIFY mark").await?;
        let asked = self.asked;
        eventually("the mark is heard", async || Ok(self.marks.load(Ordering::SeqCst) == asked)).await?;
        Ok(self.heard.load(Ordering::SeqCst))
    }
}

#[tpro_testkit::test]
async fn a_thousand_rows_of_one_transaction_ring_once() -> Outcome {
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.start(world.sidecar("main")?.env("POLL_INTERVAL_MS", 0)).await?;
    let mut listener = Listener::start(&world).await?;
    let request = Message::to("old.thing.ask").protocol("json");
    asleep(&world).await?;
    world.main.batch_execute("BEGIN").await?;
    for _ in 0..10 {
        request.publish_many(&world.main, 100).await?;
    }
    world.main.batch_execute("COMMIT").await?;
    let recon = world.recon().await?;
    assert_eq!((recon.settled, answerer.taken()), (1_000, 1_000));
    assert_eq!(listener.heard().await?, 1, "the dispatcher slept, and was woken once");
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_thousand_transactions_at_once_ring_once_each_at_most() -> Outcome {
    const SESSIONS: usize = 50;
    const EACH: usize = 20;
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.start(world.sidecar("main")?.env("POLL_INTERVAL_MS", 0)).await?;
    let mut listener = Listener::start(&world).await?;
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(world.database.connect_as("main").await?);
    }
    asleep(&world).await?;
    let publishers: Vec<_> = sessions
        .into_iter()
        .map(|session| {
            tokio::spawn(async move {
                for _ in 0..EACH {
                    Message::to("old.thing.ask").protocol("json").publish(&session).await?;
                }
                Outcome::Ok(())
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await??;
    }
    let recon = world.recon().await?;
    assert_eq!((recon.settled, answerer.taken()), (1_000, 1_000));
    let heard = listener.heard().await?;
    println!("figure: bells of 1000 transactions at once: {heard}");
    // A machine on which they come slowly enough may hear each of them.
    assert!((1..=SESSIONS * EACH).contains(&heard), "{heard}");
    world.finish(&[&main]).await?;
    Ok(())
}
