//! The responder of the floor that keeps an inbox: the two inserts of the mode `handle`, in
//! batches, before it answers.
//!
//! It has no repeats, no verdict and no time limit: each request gets a uid that nobody knows.

use async_nats::{Message, Subscriber};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio_postgres::types::Type;
use tpro_testkit::postgres::connect;
use tpro_testkit::{Context as _, Outcome, listen};

use crate::args::Servers;
use crate::echo_floor::{self, READY, SUBJECT};

/// The most requests of one statement.
const BATCH: usize = 500;

const ACCEPT: &str = "
INSERT INTO echo_service.mq_receive (uid, run, copy_key, source, target, attempt, deadline, proof)
SELECT tpro.uuid7(), 1, 1, 'main/floor', 'tpro.echo.bench.echo_kept', 1, clock_timestamp() + interval '15 s', 'k:floor'
  FROM generate_series(1, $1::bigint)
ON CONFLICT DO NOTHING RETURNING uid::text";
const FINISH: &str = "
INSERT INTO echo_service.mq_outcome (uid, run, answer)
SELECT uid::uuid, 1, ('{\"result\": ' || result || '}')::jsonb FROM unnest($1, $2) AS f (uid, result)
ON CONFLICT DO NOTHING";

/// Answers every request with its own payload, until it is killed.
pub async fn run(servers: Servers) -> Outcome {
    let client = echo_floor::connect(&servers.nats).await?;
    let mut requests = listen(&client, SUBJECT).await?;
    let database = connect(&servers.database_url).await?;
    let accept = database.prepare(ACCEPT).await?;
    let finish = database.prepare_typed(FINISH, &[Type::TEXT_ARRAY, Type::TEXT_ARRAY]).await?;
    println!("{READY}");
    loop {
        let batch = next(&mut requests).await?;
        let rows = database.query(&accept, &[&i64::try_from(batch.len())?]).await?;
        let uids: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let results: Vec<&str> =
            batch.iter().map(|request| std::str::from_utf8(&request.payload)).collect::<Result<_, _>>()?;
        database.execute(&finish, &[&uids, &results]).await?;
        for request in batch {
            if let Some(reply) = request.reply {
                client.publish(reply, request.payload).await.context("answering")?;
            }
        }
    }
}

/// All requests that are there; nobody waits to fill a batch.
async fn next(requests: &mut Subscriber) -> Outcome<Vec<Message>> {
    let mut batch = vec![requests.next().await.context("the connection to NATS is closed")?];
    while batch.len() < BATCH {
        let Some(request) = requests.next().now_or_never().flatten() else { break };
        batch.push(request);
    }
    Ok(batch)
}
