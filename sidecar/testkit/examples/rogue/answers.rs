//! Handlers that answer with the body, with very much, or with what PostgreSQL does not take.

use serde_json::Value;
use tpro_sidecar::{AnyBody, Ctx, Fault, Service, Tx};

use crate::effects::{INSERT, pass};

/// Registers the handlers.
pub fn register(service: Service) -> Service {
    service
        .handle_stateless("stateless.echo", echo)
        .handle("default.echo", echo)
        .handle("default.raw", raw)
        .handle("default.reply", reply)
        .handle("default.held_reply", held_reply)
        .handle_transactional("transactional.raw", raw_in_tx)
        .handle_transactional("transactional.reply", reply_in_tx)
}

async fn echo(_: Ctx, body: Value) -> Result<Value, Fault> {
    Ok(body)
}

/// Answers with the body as it came, digit by digit.
async fn raw(_: Ctx, body: AnyBody) -> Result<AnyBody, Fault> {
    Ok(body)
}

/// Answers with the body as it came, digit by digit.
async fn raw_in_tx(_: Tx, body: AnyBody) -> Result<AnyBody, Fault> {
    Ok(body)
}

/// Answers with the text that the body asks for.
async fn reply(_: Ctx, body: Value) -> Result<String, Fault> {
    text(&body)
}

/// Answers with the text when the test lets the lock go.
async fn held_reply(ctx: Ctx, body: Value) -> Result<String, Fault> {
    let db = ctx.db().await?;
    if let Some(lock) = body["hold"].as_i64() {
        pass(&db, lock).await?;
    }
    text(&body)
}

/// Answers with the text after an effect.
async fn reply_in_tx(tx: Tx, body: Value) -> Result<String, Fault> {
    tx.query_one(INSERT, &[&tx.uid().uuid(), &"effect"]).await?;
    text(&body)
}

/// So many bytes, or a text that PostgreSQL does not take.
fn text(body: &Value) -> Result<String, Fault> {
    match body["bytes"].as_u64() {
        Some(bytes) => Ok("x".repeat(usize::try_from(bytes)?)),
        None => Ok("\0".to_owned()),
    }
}
