//! The reply handlers of `main`: one for success and one for failure for each target.
//!
//! They run in the transaction that writes the reply row. Here they only log; a real one would go
//! on in SQL.

use contracts::{ParallelQueries, ParallelQueriesWithTransit, Session};
use tpro_sidecar::{Failure, Fault, ReplyCtx, info, warn};

/// `analytic` has let somebody in.
pub async fn logged_in(ctx: ReplyCtx, session: Session) -> Result<(), Fault> {
    info!(message.id = %ctx.uid(), face_id = session.face_id, "logged in");
    Ok(())
}

/// `analytic` has let nobody in.
pub async fn login_failed(ctx: ReplyCtx, failure: Failure) -> Result<(), Fault> {
    warn!(message.id = %ctx.uid(), status = %failure.status, code = failure.error.code, "not logged in");
    Ok(())
}

/// `analytic` has answered with its sum.
pub async fn sums(ctx: ReplyCtx, sums: ParallelQueries) -> Result<(), Fault> {
    info!(message.id = %ctx.uid(), sum = sums.example_request_with_parallel_queries, "sums");
    Ok(())
}

/// `analytic` has given no sum.
pub async fn sums_failed(ctx: ReplyCtx, failure: Failure) -> Result<(), Fault> {
    warn!(message.id = %ctx.uid(), status = %failure.status, code = failure.error.code, "no sums");
    Ok(())
}

/// `analytic` has answered with its sum and `co`'s.
pub async fn transit_sums(ctx: ReplyCtx, sums: ParallelQueriesWithTransit) -> Result<(), Fault> {
    info!(
        message.id = %ctx.uid(),
        sum = sums.example_request_with_parallel_queries_with_transit_on_external_service,
        "sums of two services"
    );
    Ok(())
}

/// `analytic` has given no sums.
pub async fn transit_failed(ctx: ReplyCtx, failure: Failure) -> Result<(), Fault> {
    warn!(message.id = %ctx.uid(), status = %failure.status, code = failure.error.code, "no sums of two services");
    Ok(())
}
