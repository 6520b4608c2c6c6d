//! The reply handlers of `analytic`, for what it has asked by a row. (A call is answered where it
//! was made.)

use contracts::ParallelQueries;
use tpro_sidecar::{Failure, Fault, ReplyCtx, info, warn};

use crate::settings::Settings;

/// `co` has answered.
pub async fn co_sums(ctx: ReplyCtx<Settings>, sums: ParallelQueries) -> Result<(), Fault> {
    info!(message.id = %ctx.uid(), sum = sums.example_request_with_parallel_queries, "co has answered");
    Ok(())
}

/// `co` has not answered, or with an error.
pub async fn co_failed(ctx: ReplyCtx<Settings>, failure: Failure) -> Result<(), Fault> {
    warn!(message.id = %ctx.uid(), status = %failure.status, code = failure.error.code, "co gave no result");
    Ok(())
}
