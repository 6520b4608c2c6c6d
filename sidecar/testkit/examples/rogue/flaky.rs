//! Handlers that call a function which the test makes fail: it raises an error as often as the test
//! wants.

use tpro_sidecar::{Ctx, Fault, Service, Tx};

use crate::effects::{Effect, INSERT, Made, end};

/// Registers the handlers.
pub fn register(service: Service) -> Service {
    service
        .handle_stateless("stateless.flaky", flaky)
        .handle_stateless("stateless.flaky_tx", flaky_in_tx)
        .handle("default.flaky", flaky)
        .handle("default.flaky_tx", flaky_in_tx)
        .handle_transactional("transactional.flaky", flaky_of_tx)
}

/// Calls the function, and has an effect after it.
async fn flaky(ctx: Ctx, told: Effect) -> Result<Made, Fault> {
    let db = ctx.db().await?;
    db.execute("/* flaky */ SELECT public.flaky()", &[]).await?;
    let number = db.query_one(INSERT, &[&ctx.uid().uuid(), &"effect"]).await?.get(0);
    end(&told, number)
}

/// Has an effect in a transaction, and calls the function after it.
async fn flaky_in_tx(ctx: Ctx, told: Effect) -> Result<Made, Fault> {
    flaky_of_tx(ctx.tx().await?, told).await
}

async fn flaky_of_tx(tx: Tx, told: Effect) -> Result<Made, Fault> {
    let number = tx.query_one(INSERT, &[&tx.uid().uuid(), &"effect"]).await?.get(0);
    tx.execute("/* flaky */ SELECT public.flaky()", &[]).await?;
    end(&told, number)
}
