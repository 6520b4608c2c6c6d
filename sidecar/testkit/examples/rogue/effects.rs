//! Handlers with an effect, which a test can hold up and let fail.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tpro_sidecar::{Ctx, Fault, QueryError, Service, Statements, Tx};

/// Registers the handlers.
pub fn register(service: Service) -> Service {
    service
        .handle_stateless("stateless.effect", effect)
        .handle_stateless("stateless.pause", pause)
        .handle("default.effect", effect)
        .handle("default.tx", effect_in_tx)
        .handle_transactional("transactional.effect", effect_of_tx)
}

/// The body of a message to a handler with an effect.
#[derive(Deserialize)]
pub struct Effect {
    /// An advisory lock: the handler waits until the test lets it go.
    pub hold: Option<i64>,
    /// Milliseconds that the handler takes, with the connection in hand.
    pub pause: Option<f64>,
    /// The end after the effect: `fault`, `internal` or `panic`. Without it the handler ends well.
    pub end: Option<String>,
}

/// The place where the effect was made, and its number among the effects of this message.
#[derive(Serialize)]
pub struct Made {
    pid: u32,
    pub number: i64,
}

impl Made {
    /// An effect of this process, with this number.
    pub fn of(number: i64) -> Self {
        Self { pid: std::process::id(), number }
    }
}

/// Makes an effect and returns its number.
pub const INSERT: &str = "/* effect */ WITH made AS (INSERT INTO public.effect (uid, what) VALUES ($1, $2))
    SELECT 1 + count(*) FROM public.effect WHERE uid = $1";

/// Has an effect.
pub async fn effect(ctx: Ctx, told: Effect) -> Result<Made, Fault> {
    let db = ctx.db().await?;
    let number = db.query_one(INSERT, &[&ctx.uid().uuid(), &"effect"]).await?.get(0);
    if let Some(lock) = told.hold {
        pass(&db, lock).await?;
    }
    end(&told, number)
}

async fn effect_in_tx(ctx: Ctx, told: Effect) -> Result<Made, Fault> {
    effect_of_tx(ctx.tx().await?, told).await
}

async fn effect_of_tx(tx: Tx, told: Effect) -> Result<Made, Fault> {
    let number = tx.query_one(INSERT, &[&tx.uid().uuid(), &"effect"]).await?.get(0);
    if let Some(lock) = told.hold {
        tx.execute("/* hold */ SELECT pg_advisory_xact_lock_shared($1)", &[&lock]).await?;
    }
    if let Some(pause) = told.pause {
        tx.execute("/* pause */ SELECT pg_sleep($1::float8 / 1000)", &[&pause]).await?;
    }
    end(&told, number)
}

/// Takes its time and does nothing else.
pub async fn pause(_: Ctx, told: Effect) -> Result<(), Fault> {
    tokio::time::sleep(Duration::from_secs_f64(told.pause.unwrap_or_default() / 1000.0)).await;
    Ok(())
}

/// Waits until the test lets the lock go.
pub async fn pass(db: &Statements, lock: i64) -> Result<(), QueryError> {
    db.execute("/* hold */ SELECT pg_advisory_lock_shared($1)", &[&lock]).await?;
    db.execute("/* let go */ SELECT pg_advisory_unlock_shared($1)", &[&lock]).await?;
    Ok(())
}

/// Ends a handler as it was told.
pub fn end(told: &Effect, number: i64) -> Result<Made, Fault> {
    match told.end.as_deref() {
        Some("fault") => Err(Fault::new(7, "told to fail").data(json!({"number": number}))),
        Some("internal") => Err(Fault::internal("told to fail inside")),
        Some("panic") => panic!("told to panic"),
        _ => Ok(Made::of(number)),
    }
}
