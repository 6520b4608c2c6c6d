//! The rows of a reply: the reply itself, the hold of its ordering key, and the error of its
//! handler.

use tpro_runtime::settlement::Settlement;
use tpro_wire::Status;

use super::{
    QueryError, Statements,
    settling::{Ending, Settling, asks_for_uid},
};
use crate::host::Host;

/// Inserts the reply and does not commit it. `leader` is the backend that must lead; without one
/// anybody may write. Says how the transaction is to end.
pub(super) async fn insert(
    app: &Host,
    tx: &Statements,
    settlement: &Settlement,
    leader: Option<i32>,
) -> Result<Ending, QueryError> {
    let mut settling = Settling::begin(leader.is_some());
    loop {
        settling = match settling {
            Settling::Insert { .. } => {
                let inserted = insert_unsettled(app, tx, settlement).await?;
                if inserted && let Some(key) = &settlement.hold {
                    hold(app, tx, settlement, key).await?;
                }
                settling.inserted(inserted)
            }
            Settling::AskLeader => settling.asked(leads(app, tx, leader).await?),
            Settling::End(ending) => return Ok(ending),
        };
    }
}

/// True if this backend leads the service now.
async fn leads(app: &Host, tx: &Statements, leader: Option<i32>) -> Result<bool, QueryError> {
    let Some(pid) = leader else { return Ok(false) };
    let sql = "SELECT EXISTS (SELECT FROM tpro.locks l \
         WHERE l.lock = 'leader' AND l.pid = $1::int4 AND l.schema_oid = $2::text::regnamespace)";
    let client = tx.connection()?;
    let row = tx
        .quiet(async {
            let statement = client.prepare_cached(sql).await?;
            client.query_one(&statement, &[&pid, &app.source.service.schema()]).await
        })
        .await?;
    Ok(row.try_get(0)?)
}

/// The reply, if there is none yet, and if the message is still the one that was asked. After a
/// failover this connection may be to a server that never had it, and has given its id to another.
async fn insert_unsettled(app: &Host, tx: &Statements, settlement: &Settlement) -> Result<bool, QueryError> {
    let same = if asks_for_uid() { " AND p.uid = $2::uuid" } else { "" };
    let sql = format!(
        "INSERT INTO {schema}.mq_reply (mq_id, uid, status, result, error, headers, attempts, sent_at, responder) \
         SELECT $1::int8, $2::uuid, $3::text, $4::text::jsonb, $5::text::jsonb, $6::text::jsonb, $7::int4, \
         $8::timestamptz, $9::text \
         WHERE EXISTS (SELECT FROM {schema}.mq_publish p WHERE p.id = $1::int8{same}) \
         ON CONFLICT DO NOTHING",
        schema = app.source.service.schema()
    );
    let client = tx.connection()?;
    let inserted = tx
        .quiet(async {
            let statement = client.prepare_cached(&sql).await?;
            client
                .execute(
                    &statement,
                    &[
                        &settlement.id,
                        &settlement.uid.uuid(),
                        &settlement.status.as_str(),
                        &settlement.result,
                        &settlement.error,
                        &settlement.headers,
                        &settlement.attempts,
                        &settlement.sent_at,
                        &settlement.responder,
                    ],
                )
                .await
        })
        .await?;
    Ok(inserted == 1)
}

/// Holds the ordering key of a message that has failed. One that ends well and has a row there is a
/// copy of the one that failed, and lets the key go.
async fn hold(app: &Host, tx: &Statements, settlement: &Settlement, key: &str) -> Result<(), QueryError> {
    let schema = app.source.service.schema();
    let client = tx.connection()?;
    tx.quiet(async {
        if settlement.status == Status::Ok {
            let sql = format!(
                "SELECT tpro.end_holds($2::text, ARRAY[$1::int8]) \
                 WHERE EXISTS (SELECT FROM {schema}.mq_hold h WHERE h.id = $1::int8)"
            );
            let statement = client.prepare_cached(&sql).await?;
            return client.execute(&statement, &[&settlement.id, &app.source.service.as_str()]).await;
        }
        let sql = format!(
            "INSERT INTO {schema}.mq_hold (id, space_name, service_name, ordering_key) \
             VALUES ($1::int8, $2::text, $3::text, $4::text) ON CONFLICT DO NOTHING"
        );
        let statement = client.prepare_cached(&sql).await?;
        let target = &settlement.target;
        client.execute(&statement, &[&settlement.id, &target.space(), &target.service(), &key]).await
    })
    .await?;
    Ok(())
}

/// True if the message is there and has no reply, though one was written: a trigger or a rule has
/// kept it out.
pub(super) async fn is_swallowed(
    app: &Host,
    tx: &Statements,
    settlement: &Settlement,
) -> Result<bool, QueryError> {
    let sql = format!(
        "SELECT EXISTS (SELECT FROM {schema}.mq_publish p WHERE p.id = $1::int8 AND p.uid = $2::uuid) \
         AND NOT EXISTS (SELECT FROM {schema}.mq_reply r WHERE r.mq_id = $1::int8)",
        schema = app.source.service.schema()
    );
    let client = tx.connection()?;
    let row = tx
        .quiet(async {
            let statement = client.prepare_cached(&sql).await?;
            client.query_one(&statement, &[&settlement.id, &settlement.uid.uuid()]).await
        })
        .await?;
    Ok(row.try_get(0)?)
}

/// Writes the error of the reply handler beside the reply.
pub(super) async fn insert_fault(
    app: &Host,
    tx: &Statements,
    settlement: &Settlement,
    error: &str,
) -> Result<(), QueryError> {
    let sql = format!(
        "INSERT INTO {}.mq_reply_fault (mq_id, handler, error) VALUES ($1::int8, $2::text, $3::text) ON CONFLICT DO NOTHING",
        app.source.service.schema()
    );
    let client = tx.connection()?;
    tx.quiet(async {
        let statement = client.prepare_cached(&sql).await?;
        client.execute(&statement, &[&settlement.id, &settlement.target.service_method(), &error]).await
    })
    .await?;
    Ok(())
}
