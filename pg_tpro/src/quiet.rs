//! Errors without a stack trace.
//!
//! pgrx puts a stack trace into the DETAIL of every error when the server's environment has
//! `RUST_BACKTRACE`. Most errors here tell a user what is wrong with a row. A trace of the
//! library's functions helps nobody and takes a millisecond.

use std::backtrace::Backtrace;
use std::env;

const VARIABLE: &str = "RUST_LIB_BACKTRACE";

/// Turns them off for this library, and leaves the environment as it was for other libraries in
/// this backend.
#[expect(
    clippy::disallowed_methods,
    reason = "a backend has one thread, and the variable is put back at once"
)]
pub fn no_backtraces() {
    let before = env::var_os(VARIABLE);
    // SAFETY: a backend has one thread, so that nobody reads the environment meanwhile.
    unsafe { env::set_var(VARIABLE, "0") };
    // The standard library looks at the variable at the first capture and remembers.
    drop(Backtrace::capture());
    match before {
        // SAFETY: as above.
        Some(value) => unsafe { env::set_var(VARIABLE, value) },
        // SAFETY: as above.
        None => unsafe { env::remove_var(VARIABLE) },
    }
}
