//! A consumer of pgmq, as one writes it by hand: it reads up to 500 messages, asks for all of them
//! at once, and inserts the replies in the transaction that deletes the messages.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use futures_util::future::{poll_fn, try_join_all};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, Client as Session, NoTls, Row};
use tpro_testkit::postgres::connect;
use tpro_testkit::{Context as _, Outcome};

use crate::args::Servers;
use crate::echo_floor::{self, READY, SUBJECT};

/// Another consumer gets a message that is not deleted after 30 s.
const READ: &str = "SELECT msg_id, message::text FROM pgmq.read('ask', 30, 500)";
const SETTLE: &str = "
WITH reply AS (
    INSERT INTO floor.reply (id, result)
    SELECT id, result::jsonb FROM unnest($1::bigint[], $2::text[]) AS r (id, result)
    ON CONFLICT DO NOTHING
)
SELECT count(*) FROM pgmq.delete('ask', $1::bigint[])";
/// A notification for each commit: by default there is one in 250 ms.
const NOTIFY: &str = "SELECT pgmq.enable_notify_insert('ask', 0)";
const LISTEN: &str = r#"LISTEN "pgmq.q_ask.INSERT""#;
/// The pause of a consumer that hears nothing.
const POLL: Duration = Duration::from_secs(1);

/// Consumes messages until it is killed.
pub async fn run(servers: Servers) -> Outcome {
    let client = echo_floor::connect(&servers.nats).await?;
    let database = connect(&servers.database_url).await?;
    database.execute(NOTIFY, &[]).await.context("enabling notifications")?;
    let read = database.prepare(READ).await?;
    let settle = database.prepare(SETTLE).await?;
    let (_session, bell) = listen(&servers.database_url).await?;
    println!("{READY}");
    loop {
        let rows = database.query(&read, &[]).await?;
        if rows.is_empty() {
            // It has rung, or a poll is due: either is followed by a read.
            let _rung = timeout(POLL, bell.notified()).await;
            continue;
        }
        let replies = try_join_all(rows.iter().map(|row| ask(&client, row))).await?;
        let (ids, results): (Vec<i64>, Vec<String>) = replies.into_iter().unzip();
        database.execute(&settle, &[&ids, &results]).await?;
    }
}

/// A bell that rings at each notification, for as long as the session lives. A ring during a read
/// is kept for the next wait.
async fn listen(database_url: &str) -> Outcome<(Session, Arc<Notify>)> {
    let (session, mut connection) = tokio_postgres::connect(database_url, NoTls).await?;
    let bell = Arc::new(Notify::new());
    let ringing = Arc::clone(&bell);
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if matches!(message, AsyncMessage::Notification(_)) {
                ringing.notify_one();
            }
        }
    });
    session.batch_execute(LISTEN).await.context("listening")?;
    Ok((session, bell))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a consumer that is written by hand asks so, and lives for a benchmark"
)]
async fn ask(client: &Client, row: &Row) -> Outcome<(i64, String)> {
    let (id, body): (i64, String) = (row.get(0), row.get(1));
    let reply = client.request(SUBJECT, body.into()).await.context("asking")?;
    Ok((id, String::from_utf8(reply.payload.into())?))
}
