//! The floor of latency: the shortest program that is notified of a row, asks over NATS and
//! inserts the reply.
//!
//! The notification has the body with it, so that nothing is read. Two tasks do all: one asks, one
//! writes what has come. Nothing is kept of a message while it is under way: a notification that
//! nobody hears is a message that is lost.

use std::future::poll_fn;

use async_nats::{Client, Subscriber};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio_postgres::{AsyncMessage, NoTls};
use tpro_testkit::postgres::connect;
use tpro_testkit::{Context as _, Outcome, listen};

use crate::args::Servers;
use crate::echo_floor::{self, READY, SUBJECT};
use crate::session::Statements;

const INBOX: &str = "_INBOX.prompt";
/// The most replies of one statement.
const BATCH: usize = 500;

/// The tables of the floor, for the login of the client.
pub const TABLES: &str = "
CREATE SCHEMA floor;
CREATE TABLE floor.outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body jsonb NOT NULL);
CREATE TABLE floor.reply (id bigint PRIMARY KEY, result jsonb NOT NULL);
GRANT USAGE ON SCHEMA floor TO main;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA floor TO main;";

/// The statements of the client.
pub fn statements() -> Statements {
    let publish = r#"INSERT INTO floor.outbox (body) VALUES ('{"ip":"172.19.0.8", "login":"login342", "password":"phnd26w"}')
                     RETURNING id, pg_notify('floor', id || ' ' || body)"#;
    let look = "SELECT id, true FROM floor.reply WHERE id = ANY($1::bigint[])";
    Statements { publish: publish.to_owned(), look: look.to_owned() }
}

/// Moves messages until it is killed.
pub async fn run(servers: Servers) -> Outcome {
    let client = echo_floor::connect(&servers.nats).await?;
    let replies = listen(&client, format!("{INBOX}.*")).await?;
    let (listener, mut connection) = tokio_postgres::connect(&servers.database_url, NoTls).await?;
    let asking = tokio::spawn(async move {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(notification) = message? {
                ask(&client, notification.payload()).await?;
            }
        }
        Outcome::Ok(())
    });
    listener.batch_execute("LISTEN floor").await.context("listening")?;
    println!("{READY}");
    write(&servers.database_url, replies).await?;
    asking.await?
}

async fn ask(client: &Client, payload: &str) -> Outcome {
    let (id, body) = payload.split_once(' ').context("the notification has no body")?;
    client.publish_with_reply(SUBJECT, format!("{INBOX}.{id}"), body.to_owned().into()).await?;
    Ok(())
}

/// All replies that have come while the last were being written go into one statement.
async fn write(database_url: &str, mut replies: Subscriber) -> Outcome {
    let database = connect(database_url).await?;
    let insert = database
        .prepare("INSERT INTO floor.reply SELECT id, result::jsonb FROM unnest($1::bigint[], $2::text[]) AS r (id, result)")
        .await?;
    let (mut ids, mut results): (Vec<i64>, Vec<String>) = Default::default();
    while let Some(first) = replies.next().await {
        let mut next = Some(first);
        while let Some(reply) = next {
            ids.push(reply.subject.rsplit('.').next().and_then(|id| id.parse().ok()).context("no id")?);
            results.push(String::from_utf8(reply.payload.into())?);
            next = if ids.len() < BATCH { replies.next().now_or_never().flatten() } else { None };
        }
        database.execute(&insert, &[&ids, &results]).await?;
        ids.clear();
        results.clear();
    }
    Ok(())
}
