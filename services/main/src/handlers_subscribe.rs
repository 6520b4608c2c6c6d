//! The handlers of `main`.

use contracts::Winners;
use tpro_sidecar::{AnyBody, Ctx, Fault};

/// `company.winners`: the minute of the database's clock.
pub async fn winners(ctx: Ctx, _body: AnyBody) -> Result<Winners, Fault> {
    let milliseconds: f64 = ctx.setting("EXAMPLE_PAUSE_MS").parse()?;
    let row = ctx
        .db()
        .await?
        .query_one(
            "/* winners */ SELECT extract(minute FROM clock_timestamp())::int4 FROM pg_sleep($1)",
            &[&(milliseconds / 1000.0)],
        )
        .await?;
    Ok(Winners { winners: row.try_get(0)? })
}
