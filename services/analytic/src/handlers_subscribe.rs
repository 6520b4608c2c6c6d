//! The handlers of `analytic`.

use contracts::{Login, ParallelQueries, ParallelQueriesWithTransit, Session};
use tpro_sidecar::{AnyBody, CallError, Ctx, Fault, QueryError, SqlState};

use crate::settings::Settings;

/// `example.simple`: logs in.
pub async fn simple(ctx: Ctx<Settings>, login: Login) -> Result<Session, Fault> {
    let row = ctx
        .db()
        .await?
        .query_one(
            "/* login */ SELECT l.sid, l.face_id FROM pg_sleep($4), app.login($1, $2, $3) AS l",
            &[&login.ip, &login.login, &login.password, &pause(&ctx)],
        )
        .await
        .map_err(refused)?;
    Ok(Session { sid: row.try_get("sid")?, face_id: row.try_get("face_id")? })
}

/// `example.request_with_parallel_queries`: hour + minute, asked at the same time.
pub async fn request_with_parallel_queries(
    ctx: Ctx<Settings>,
    _body: AnyBody,
) -> Result<ParallelQueries, Fault> {
    let (hour, minute) = tokio::try_join!(hour(&ctx), minute(&ctx))?;
    Ok(ParallelQueries { example_request_with_parallel_queries: hour + minute })
}

/// The two sums, and at the same time a question to another service.
pub async fn request_with_parallel_queries_with_transit_on_external_service(
    ctx: Ctx<Settings>,
    body: AnyBody,
) -> Result<ParallelQueriesWithTransit, Fault> {
    let (hour, minute, co) = tokio::try_join!(hour(&ctx), minute(&ctx), co_sums(&ctx, &body))?;
    let sum = hour + minute + co.example_request_with_parallel_queries;
    Ok(ParallelQueriesWithTransit {
        example_request_with_parallel_queries_with_transit_on_external_service: sum,
    })
}

async fn hour(ctx: &Ctx<Settings>) -> Result<i32, Fault> {
    let row = ctx
        .db()
        .await?
        .query_one(
            "/* hour */ SELECT extract(hour FROM clock_timestamp())::int4 FROM pg_sleep($1)",
            &[&pause(ctx)],
        )
        .await?;
    Ok(row.try_get(0)?)
}

async fn minute(ctx: &Ctx<Settings>) -> Result<i32, Fault> {
    let row = ctx
        .db()
        .await?
        .query_one(
            "/* minute */ SELECT extract(minute FROM clock_timestamp())::int4 FROM pg_sleep($1)",
            &[&pause(ctx)],
        )
        .await?;
    Ok(row.try_get(0)?)
}

async fn co_sums(ctx: &Ctx<Settings>, body: &AnyBody) -> Result<ParallelQueries, Fault> {
    ctx.call("co.example.request_with_parallel_queries", body).await.map_err(CallError::into_fault)
}

/// The pause of a step in seconds, so that the picture of the trace shows what runs side by side.
fn pause(ctx: &Ctx<Settings>) -> f64 {
    f64::from(ctx.state().pause_ms) / 1000.0
}

/// `app.login` says by its SQLSTATE which field is wrong; the caller is told the field, never the
/// value.
fn refused(error: QueryError) -> Fault {
    match error.code().map(SqlState::code) {
        Some("LG001") => Fault::field("ip", "the ip is not one this person logs in from"),
        Some("LG002") => Fault::field("login", "the login is unknown"),
        Some("LG003") => Fault::field("password", "the password is wrong"),
        _ => error.into(),
    }
}
