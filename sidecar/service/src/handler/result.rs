//! The values that a handler ends with.

use super::{Fault, IntoFault};

/// A handler ends with a `Result`: its reply, or an error that is a [`Fault`] or becomes one.
///
/// ```
/// # use tpro_service as tpro_sidecar;
/// use tpro_sidecar::{Fault, HandlerResult};
///
/// let ended: Result<u32, Fault> = Err(Fault::new(7, "no more seats"));
/// assert_eq!(ended.into_result().map_err(|fault| fault.code()), Err(7));
/// ```
#[diagnostic::on_unimplemented(
    message = "a handler cannot end with `{Self}`",
    label = "not a `Result`",
    note = "a handler is an `async fn(Ctx, Body) -> Result<Reply, E>`, where E is `tpro_sidecar::Fault` or implements `tpro_sidecar::IntoFault`"
)]
pub trait HandlerResult {
    /// The reply.
    type Reply;

    /// The reply, or the fault.
    fn into_result(self) -> Result<Self::Reply, Fault>;
}

impl<R, E: IntoFault> HandlerResult for Result<R, E> {
    type Reply = R;

    fn into_result(self) -> Result<R, Fault> {
        self.map_err(IntoFault::into_fault)
    }
}
