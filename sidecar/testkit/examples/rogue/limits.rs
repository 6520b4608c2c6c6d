//! Handlers of methods that have limits of their own.

use std::time::Duration;

use serde::Deserialize;
use tpro_sidecar::{Ctx, Fault, Service, Tx};

use crate::effects::{self, INSERT, Made};

/// The pause before the first retry.
const BACK_OFF: Duration = Duration::from_millis(10);
/// The retries.
const RETRIES: u32 = 3;

/// Registers the handlers.
pub fn register(service: Service) -> Service {
    service
        .handle_stateless("limited.time", effects::pause)
        .timeout(Duration::from_millis(300))
        .handle("limited.at_once", effects::effect)
        .at_once(1)
        .handle_stateless("limited.stateless", fail)
        .retry(RETRIES, BACK_OFF)
        .handle("limited.default", fail)
        .retry(RETRIES, BACK_OFF)
        .handle("limited.default_tx", fail_in_tx)
        .retry(RETRIES, BACK_OFF)
        .handle_transactional("limited.transactional", fail_of_tx)
        .retry(RETRIES, BACK_OFF)
}

/// The body of a message.
#[derive(Deserialize)]
struct Fail {
    /// The sequence by which its runs are counted, also those that are rolled back.
    runs: String,
    /// The runs that fail.
    times: i64,
}

impl Fail {
    fn pass(&self, run: i64) -> Result<(), Fault> {
        if run <= self.times { Err(Fault::internal("told to fail inside")) } else { Ok(()) }
    }
}

/// Counts a run.
const RUN: &str = "SELECT nextval($1::text::regclass)";

async fn fail(ctx: Ctx, told: Fail) -> Result<Made, Fault> {
    let db = ctx.db().await?;
    told.pass(db.query_one(RUN, &[&told.runs]).await?.get(0))?;
    Ok(Made::of(db.query_one(INSERT, &[&ctx.uid().uuid(), &"effect"]).await?.get(0)))
}

async fn fail_in_tx(ctx: Ctx, told: Fail) -> Result<Made, Fault> {
    fail_of_tx(ctx.tx().await?, told).await
}

/// Has its effect before it fails, so that the test sees whether it is undone.
async fn fail_of_tx(tx: Tx, told: Fail) -> Result<Made, Fault> {
    let run = tx.query_one(RUN, &[&told.runs]).await?.get(0);
    let number = tx.query_one(INSERT, &[&tx.uid().uuid(), &"effect"]).await?.get(0);
    told.pass(run)?;
    Ok(Made::of(number))
}
