//! Handlers that ask to be asked again later, as often as the test wants, and then have an effect.

use serde::{Deserialize, Serialize};
use tpro_sidecar::{CallError, Ctx, Fault, Service, Tx};

use crate::effects::{INSERT, Made};

/// Registers the handlers.
pub fn register(service: Service) -> Service {
    service
        .handle_stateless("stateless.put_off", put_off)
        .handle("default.put_off", put_off)
        .handle("default.put_off_tx", put_off_in_tx)
        .handle("default.call_put_off", call)
        .handle_transactional("transactional.put_off", put_off_of_tx)
}

/// The body of a message.
#[derive(Deserialize, Serialize)]
struct PutOff {
    /// The sequence by which its runs are counted, also those that are rolled back.
    runs: String,
    /// The runs that put the message off.
    times: i64,
    /// The seconds of each.
    seconds: u32,
}

impl PutOff {
    /// Puts the message off if it is told to. `run` is the number of this run.
    fn pass(&self, run: i64) -> Result<(), Fault> {
        match run <= self.times {
            true => Err(Fault::retry_after(self.seconds).at_last(7, "told to put it off").data(run)),
            false => Ok(()),
        }
    }
}

/// Counts a run.
const RUN: &str = "SELECT nextval($1::text::regclass)";

async fn put_off(ctx: Ctx, told: PutOff) -> Result<Made, Fault> {
    let db = ctx.db().await?;
    told.pass(db.query_one(RUN, &[&told.runs]).await?.get(0))?;
    Ok(Made::of(db.query_one(INSERT, &[&ctx.uid().uuid(), &"effect"]).await?.get(0)))
}

async fn put_off_in_tx(ctx: Ctx, told: PutOff) -> Result<Made, Fault> {
    put_off_of_tx(ctx.tx().await?, told).await
}

/// Has its effect before it puts the message off, so that the test sees whether it is undone.
async fn put_off_of_tx(tx: Tx, told: PutOff) -> Result<Made, Fault> {
    let run = tx.query_one(RUN, &[&told.runs]).await?.get(0);
    let number = tx.query_one(INSERT, &[&tx.uid().uuid(), &"effect"]).await?.get(0);
    told.pass(run)?;
    Ok(Made::of(number))
}

/// Calls a handler that puts the call off.
async fn call(ctx: Ctx, told: PutOff) -> Result<serde_json::Value, Fault> {
    ctx.call("rogue.default.put_off", &told).await.map_err(CallError::into_fault)
}
