//! Reply handlers that leave a note, and then fail in each way.

use serde_json::Value;
use tpro_sidecar::{Failure, Fault, ReplyCtx, Service};

/// Registers the handlers.
pub fn register(service: Service) -> Service {
    service
        .on_reply("old.thing.noted", noted, noted_failure)
        .on_reply("old.thing.labelled", labelled, noted_failure)
        .on_reply("old.thing.spoiled", spoiled, spoiled_failure)
        .on_reply("old.thing.panics", panics, spoiled_failure)
        .on_reply("old.thing.hangs", hangs, spoiled_failure)
        .on_reply("old.thing.flaky", flaky_reply, noted_failure)
        .on_reply("old.thing.holds", holds, noted_failure)
}

async fn noted(ctx: ReplyCtx, _: Value) -> Result<(), Fault> {
    note(&ctx, "ok").await
}

/// Leaves the label of the row.
async fn labelled(ctx: ReplyCtx, _: Value) -> Result<(), Fault> {
    note(&ctx, ctx.reply_to().unwrap_or("none")).await
}

async fn noted_failure(ctx: ReplyCtx, failure: Failure) -> Result<(), Fault> {
    note(&ctx, failure.status.as_str()).await
}

async fn spoiled(ctx: ReplyCtx, _: Value) -> Result<(), Fault> {
    note(&ctx, "spoiled").await?;
    ctx.execute("/* spoil */ SELECT 1 / 0", &[]).await?;
    Ok(())
}

async fn spoiled_failure(ctx: ReplyCtx, _: Failure) -> Result<(), Fault> {
    note(&ctx, "spoiled").await?;
    Err(Fault::internal("told to fail inside"))
}

async fn panics(ctx: ReplyCtx, _: Value) -> Result<(), Fault> {
    note(&ctx, "spoiled").await?;
    panic!("told to panic")
}

async fn hangs(ctx: ReplyCtx, _: Value) -> Result<(), Fault> {
    note(&ctx, "spoiled").await?;
    std::future::pending().await
}

async fn flaky_reply(ctx: ReplyCtx, _: Value) -> Result<(), Fault> {
    note(&ctx, "ok").await?;
    ctx.execute("/* flaky */ SELECT public.flaky()", &[]).await?;
    Ok(())
}

/// Waits until the test lets the lock go.
async fn holds(ctx: ReplyCtx, _: Value) -> Result<(), Fault> {
    note(&ctx, "ok").await?;
    ctx.execute("/* hold */ SELECT pg_advisory_xact_lock_shared(7)", &[]).await?;
    Ok(())
}

/// Leaves a note: a row in the table of effects.
pub async fn note(ctx: &ReplyCtx, what: &str) -> Result<(), Fault> {
    ctx.execute(
        "/* note */ INSERT INTO public.effect (uid, what) VALUES ($1, $2)",
        &[&ctx.uid().uuid(), &what],
    )
    .await?;
    Ok(())
}
