//! The errors that a handler may return.

use std::{convert::Infallible, error::Error};

use super::{CallError, Fault, QueryError};

/// An error that a handler may return.
///
/// A domain error says here what the caller sees; it may be a [`std::error::Error`] as well.
///
/// ```
/// # use tpro_service as tpro_sidecar;
/// use tpro_sidecar::{AnyBody, Ctx, Fault, IntoFault, QueryError};
///
/// enum Refused {
///     NoSeats,
///     Query(QueryError),
/// }
///
/// impl From<QueryError> for Refused {
///     fn from(error: QueryError) -> Self {
///         Self::Query(error)
///     }
/// }
///
/// impl IntoFault for Refused {
///     fn into_fault(self) -> Fault {
///         match self {
///             Self::NoSeats => Fault::new(7, "no more seats"),
///             Self::Query(error) => error.into(),
///         }
///     }
/// }
///
/// async fn book(ctx: Ctx, _: AnyBody) -> Result<i64, Refused> {
///     let seat = ctx.db().await?.query_opt("SELECT id FROM seats LIMIT 1", &[]).await?;
///     seat.map(|row| row.get(0)).ok_or(Refused::NoSeats)
/// }
/// ```
///
/// An error without a meaning for the caller is internal: its text goes to the log only. By `?`
/// every error becomes one in a handler that returns [`Fault`] or `Box<dyn Error + Send + Sync>`.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return the error `{Self}`",
    label = "not `IntoFault`",
    note = "return `tpro_sidecar::Fault`: by `?` it takes every error as an internal one",
    note = "or implement `tpro_sidecar::IntoFault` for `{Self}`, which says what the caller sees"
)]
pub trait IntoFault {
    /// The fault of this error.
    fn into_fault(self) -> Fault;
}

impl IntoFault for Fault {
    fn into_fault(self) -> Fault {
        self
    }
}

/// Internal, or no outcome at all if it is of the moment.
impl IntoFault for QueryError {
    fn into_fault(self) -> Fault {
        self.into()
    }
}

/// Internal. [`CallError::into_fault`] passes the error of the other service on instead.
impl IntoFault for CallError {
    fn into_fault(self) -> Fault {
        self.into()
    }
}

/// Internal: any error at all.
impl IntoFault for Box<dyn Error + Send + Sync> {
    fn into_fault(self) -> Fault {
        self.into()
    }
}

impl IntoFault for Infallible {
    fn into_fault(self) -> Fault {
        match self {}
    }
}
