//! The floor: the least program that moves outbox rows over NATS and answers back into rows.
//!
//! It reads pages of 500 rows by id, has one connection with a wildcard reply inbox and 256
//! messages in flight, passes JSON through as text, and writes replies by `unnest` in batches. It
//! has no uid, no headers, no envelope, no time limit, no repeat, no order of commits and no
//! leader: nothing that makes it safe. tpro is measured against it, and could not be replaced by
//! it.

use std::sync::Arc;
use std::time::Instant;

use async_nats::{Client, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{Semaphore, mpsc};
use tpro_testkit::postgres::connect;
use tpro_testkit::{Context as _, Failure, Outcome};

use crate::args::Floor;
use crate::echo_floor::{self, SUBJECT};

const PAGE: i64 = 500;
const IN_FLIGHT: usize = 256;
const INBOX: &str = "_INBOX.floor";

/// The tables of the floor: the same body, and no more.
pub const TABLES: &str = "
CREATE SCHEMA floor;
CREATE TABLE floor.outbox (id bigint PRIMARY KEY, body jsonb NOT NULL);
CREATE TABLE floor.reply (id bigint PRIMARY KEY, result jsonb NOT NULL);";

/// A page of ids and bodies.
type Rows = Vec<(i64, String)>;

/// Moves so many messages and prints how many seconds it took.
pub async fn run(floor: Floor) -> Outcome {
    let client = echo_floor::connect(&floor.servers.nats).await?;
    let replies = client.subscribe(format!("{INBOX}.*")).await.context("subscribing")?;
    let permits = Arc::new(Semaphore::new(IN_FLIGHT));
    let (pages, sending) = mpsc::channel(2);
    let (batches, writing) = mpsc::channel(4);

    let began = Instant::now();
    let reader = tokio::spawn(read(floor.servers.database_url.clone(), pages));
    let sender = tokio::spawn(send(client, sending, Arc::clone(&permits)));
    let receiver = tokio::spawn(receive(replies, batches, permits, floor.messages));
    write(&floor.servers.database_url, writing).await?;
    println!("{}", began.elapsed().as_secs_f64());
    for task in [reader, sender, receiver] {
        task.await??;
    }
    Ok(())
}

async fn read(database_url: String, pages: mpsc::Sender<Rows>) -> Outcome {
    let database = connect(&database_url).await?;
    let page = database
        .prepare("SELECT id, body::text FROM floor.outbox WHERE id > $1 ORDER BY id LIMIT $2")
        .await?;
    let mut last = 0_i64;
    loop {
        let rows = database.query(&page, &[&last, &PAGE]).await?;
        let Some(end) = rows.last() else { return Ok(()) };
        last = end.get(0);
        if pages.send(rows.iter().map(|row| (row.get(0), row.get(1))).collect()).await.is_err() {
            return Ok(());
        }
    }
}

async fn send(client: Client, mut pages: mpsc::Receiver<Rows>, permits: Arc<Semaphore>) -> Outcome {
    while let Some(rows) = pages.recv().await {
        for (id, body) in rows {
            permits.acquire().await?.forget();
            client.publish_with_reply(SUBJECT, format!("{INBOX}.{id}"), body.into()).await?;
        }
    }
    Ok(())
}

async fn receive(
    mut replies: Subscriber,
    batches: mpsc::Sender<Vec<(i64, Bytes)>>,
    permits: Arc<Semaphore>,
    messages: usize,
) -> Outcome {
    let mut left = messages;
    while left > 0 {
        let first = replies.next().await.context("the connection to NATS is closed")?;
        let mut batch = Vec::with_capacity(PAGE as usize);
        let mut next = Some(first);
        // All replies that are there go into one batch; nobody waits to fill it.
        while let Some(reply) = next {
            let id = reply.subject.rsplit('.').next().and_then(|id| id.parse().ok()).context("no id")?;
            batch.push((id, reply.payload));
            permits.add_permits(1);
            if batch.len() == PAGE as usize {
                break;
            }
            next = replies.next().now_or_never().flatten();
        }
        left -= batch.len();
        batches.send(batch).await.map_err(|_| Failure::new("the writer has ended"))?;
    }
    Ok(())
}

async fn write(database_url: &str, mut batches: mpsc::Receiver<Vec<(i64, Bytes)>>) -> Outcome {
    let database = connect(database_url).await?;
    let insert = database
        .prepare("INSERT INTO floor.reply SELECT id, result::jsonb FROM unnest($1::bigint[], $2::text[]) AS r (id, result)")
        .await?;
    while let Some(batch) = batches.recv().await {
        let ids: Vec<i64> = batch.iter().map(|(id, _)| *id).collect();
        let results: Vec<&str> =
            batch.iter().map(|(_, body)| std::str::from_utf8(body)).collect::<Result<_, _>>()?;
        database.execute(&insert, &[&ids, &results]).await?;
    }
    Ok(())
}
