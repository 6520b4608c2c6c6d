//! Messages without a pause, for as long as a test does something to those who answer them.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tpro_testkit::{Context, Message, Outcome, World};

/// Publishes as `main`, one message of each kind after the other.
pub struct Load {
    task: JoinHandle<Outcome<i64>>,
    stop: watch::Sender<bool>,
}

impl Load {
    /// Begins.
    pub async fn start(world: &World, kinds: Vec<Message>) -> Outcome<Load> {
        let session = world.database.connect_as("main").await?;
        let (stop, stopped) = watch::channel(false);
        Ok(Load { task: tokio::spawn(publish(session, kinds, stopped)), stop })
    }

    /// Stops it; returns how many messages it has published.
    pub async fn stop(self) -> Outcome<i64> {
        self.stop.send_replace(true);
        self.task.await.context("the load")?
    }
}

async fn publish(session: Client, kinds: Vec<Message>, mut stopped: watch::Receiver<bool>) -> Outcome<i64> {
    let mut published = 0;
    while !*stopped.borrow() {
        for kind in &kinds {
            let _: i64 = kind.publish(&session).await?;
            published += 1;
        }
        // A rate that the machine keeps up with, so that what is measured is what happens to those who answer.
        let _ = tokio::time::timeout(Duration::from_millis(20), stopped.wait_for(|stopped| *stopped)).await;
    }
    Ok(published)
}
