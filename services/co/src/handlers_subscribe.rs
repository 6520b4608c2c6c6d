//! The handlers of `co`.

use contracts::ParallelQueries;
use tpro_sidecar::{AnyBody, Ctx, Fault};

/// `example.request_with_parallel_queries`: (hour + 2) + (minute + 2), asked at the same time.
pub async fn request_with_parallel_queries(ctx: Ctx, _body: AnyBody) -> Result<ParallelQueries, Fault> {
    let (hour, minute) = tokio::try_join!(hour(&ctx), minute(&ctx))?;
    Ok(ParallelQueries { example_request_with_parallel_queries: hour + minute })
}

async fn hour(ctx: &Ctx) -> Result<i32, Fault> {
    let row = ctx
        .db()
        .await?
        .query_one(
            "/* hour */ SELECT extract(hour FROM clock_timestamp())::int4 + 2 FROM pg_sleep($1)",
            &[&pause(ctx)?],
        )
        .await?;
    Ok(row.try_get(0)?)
}

async fn minute(ctx: &Ctx) -> Result<i32, Fault> {
    let row = ctx
        .db()
        .await?
        .query_one(
            "/* minute */ SELECT extract(minute FROM clock_timestamp())::int4 + 2 FROM pg_sleep($1)",
            &[&pause(ctx)?],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// The pause of a step in seconds, so that the picture of the trace shows what runs side by side.
fn pause(ctx: &Ctx) -> Result<f64, Fault> {
    let milliseconds: f64 = ctx.setting("EXAMPLE_PAUSE_MS").parse()?;
    Ok(milliseconds / 1000.0)
}
