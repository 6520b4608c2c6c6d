//! The errors that a caller gets.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;

use pgrx::PgTryBuilder;
use pgrx::pg_sys::elog::PgLogLevel;
pub use pgrx::pg_sys::errcodes::PgSqlErrorCode as SqlState;
use pgrx::pg_sys::panic::{CaughtError, ErrorReport};

/// An error for the caller. None of its texts ever holds a body or headers.
#[derive(Debug)]
pub struct Fault {
    state: SqlState,
    message: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
}

impl Fault {
    /// A fault with this text.
    pub fn new(state: SqlState, message: impl Into<Cow<'static, str>>) -> Self {
        Self { state, message: message.into(), hint: None }
    }

    /// Adds a remedy.
    pub fn hint(self, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Raises it: the statement ends here.
    pub fn raise(self) -> ! {
        self.report(PgLogLevel::ERROR);
        unreachable!("an error report of level ERROR does not return")
    }

    /// Says it as a warning: the statement goes on.
    pub fn warn(self) {
        self.report(PgLogLevel::WARNING);
    }

    fn report(self, level: PgLogLevel) {
        let mut report = ErrorReport::new(self.state, self.message, "tpro");
        if let Some(hint) = self.hint {
            report = report.set_hint(hint);
        }
        report.report(level);
    }
}

/// The value, or the fault raised.
pub trait OrRaise<T> {
    /// Returns the value or raises the fault.
    fn or_raise(self) -> T;
}

impl<T> OrRaise<T> for Result<T, Fault> {
    fn or_raise(self) -> T {
        match self {
            Ok(value) => value,
            Err(fault) => fault.raise(),
        }
    }
}

/// Calls PostgreSQL, and passes its error on.
///
/// pgrx does so too, but its `do_ereport` (0.18.1) loses some 30 bytes of the heap for each error
/// that names a text domain, as PostgreSQL's own errors do. A session that is refused a million
/// times would grow by 30 MB.
pub fn passing_on<T>(call: impl FnOnce() -> T) -> T {
    PgTryBuilder::new(AssertUnwindSafe(call))
        .catch_others(|caught| {
            let CaughtError::PostgresError(error) = caught else { caught.rethrow() };
            let mut report = ErrorReport::new(error.sql_error_code(), error.message().to_owned(), "tpro");
            if let Some(detail) = error.detail() {
                report = report.set_detail(detail);
            }
            if let Some(hint) = error.hint() {
                report = report.set_hint(hint);
            }
            drop(error);
            report.report(PgLogLevel::ERROR);
            unreachable!("an error report of level ERROR does not return")
        })
        .execute()
}
