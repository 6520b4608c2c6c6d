//! Handlers that do not end as a handler should: they fail, panic, hang, or take the process with
//! them.

use serde_json::Value;
use tpro_sidecar::{Ctx, Fault, Service, Tx};

use crate::effects::{Effect, INSERT};

/// Registers the handlers.
pub fn register(service: Service) -> Service {
    service
        .handle("default.panic", panic)
        .handle("default.internal", internal)
        .handle("default.hang", hang)
        .handle("default.sleep", sleep)
        .handle("default.abort", abort)
        .handle_transactional("transactional.hang", hang_in_tx)
        .handle_transactional("transactional.sleep", sleep_in_tx)
        .handle_transactional("transactional.abort", abort_in_tx)
}

/// Panics with words of the body. The requester must not see them.
async fn panic(_: Ctx, body: Value) -> Result<(), Fault> {
    panic!("the body was {body}")
}

/// Fails by an error of its own, or by a text of so many bytes. Only the log may show either.
async fn internal(_: Ctx, body: Value) -> Result<(), Fault> {
    if let Some(bytes) = body["bytes"].as_u64() {
        return Err(Fault::internal("x".repeat(usize::try_from(bytes)?)));
    }
    body["number"].as_str().unwrap_or("no number").parse::<i64>()?;
    Ok(())
}

/// Never ends.
async fn hang(_: Ctx, _: Value) -> Result<(), Fault> {
    std::future::pending().await
}

/// Never ends, in a statement of the database.
async fn sleep(ctx: Ctx, _: Value) -> Result<(), Fault> {
    ctx.db().await?.execute("/* sleep */ SELECT pg_sleep(600)", &[]).await?;
    Ok(())
}

/// Never ends after an effect.
async fn hang_in_tx(tx: Tx, _: Value) -> Result<(), Fault> {
    tx.query_one(INSERT, &[&tx.uid().uuid(), &"effect"]).await?;
    std::future::pending().await
}

/// Never ends after an effect, in a statement of the database.
async fn sleep_in_tx(tx: Tx, _: Value) -> Result<(), Fault> {
    tx.query_one(INSERT, &[&tx.uid().uuid(), &"effect"]).await?;
    tx.execute("/* sleep */ SELECT pg_sleep(600)", &[]).await?;
    Ok(())
}

/// Ends the process, when the test lets the lock go.
async fn abort(ctx: Ctx, told: Effect) -> Result<(), Fault> {
    if let Some(lock) = told.hold {
        ctx.db().await?.execute("/* hold */ SELECT pg_advisory_lock_shared($1)", &[&lock]).await?;
    }
    std::process::abort()
}

/// Ends the process, when the test lets the lock go.
async fn abort_in_tx(tx: Tx, told: Effect) -> Result<(), Fault> {
    if let Some(lock) = told.hold {
        tx.execute("/* hold */ SELECT pg_advisory_xact_lock_shared($1)", &[&lock]).await?;
    }
    std::process::abort()
}
