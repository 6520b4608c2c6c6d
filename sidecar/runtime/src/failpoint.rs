//! Named points at which a test can have this process stand still, to be killed exactly there.
//!
//! They are in the programs that tests run and nowhere else: feature `failpoints` is a
//! dev-dependency of tpro-sidecar on itself, so that `cargo build --workspace --all-targets` has it
//! and `cargo build --workspace`, with or without `--release`, has not.
//! `FAILPOINTS=dispatcher.before_send=2*off->return(pause)` passes a point twice and stands still
//! the third time; for the grammar see crate `fail`. Of the points here, `return(pause)` blocks the
//! thread for good, and `return(abort)` ends the process by SIGABRT. Either prints a line on stderr
//! first, and a test waits for it.

/// The line of a program with failpoints at its start when `FAILPOINTS` is set. A test that misses
/// it runs a program that was built without them.
#[cfg(feature = "failpoints")]
const SIGN: &str = "failpoints are compiled in";

/// The points of this process. They are in force for as long as this value lives.
pub struct Points {
    #[cfg(feature = "failpoints")]
    _points: fail::FailScenario<'static>,
}

impl Points {
    /// Reads the points from `FAILPOINTS`. A program that has none compiled in does nothing.
    pub fn set_up() -> Self {
        #[cfg(feature = "failpoints")]
        if std::env::var_os("FAILPOINTS").is_some() {
            use std::io::Write as _;

            let _ = writeln!(std::io::stderr(), "{SIGN}");
        }
        Self {
            #[cfg(feature = "failpoints")]
            _points: fail::FailScenario::setup(),
        }
    }
}

/// Passes the point `name`, or does what `FAILPOINTS` says for it.
#[inline]
pub fn pass(name: &'static str) {
    #[cfg(feature = "failpoints")]
    fail::fail_point!(name, |told| obey(name, told.as_deref()));
    #[cfg(not(feature = "failpoints"))]
    let _ = name;
}

/// The number that `FAILPOINTS` says at the point `name`, as in `clock.host=return(-3600000)`.
#[inline]
pub fn number(name: &'static str) -> Option<i64> {
    #[cfg(feature = "failpoints")]
    fail::fail_point!(name, |told| told?.parse().ok());
    #[cfg(not(feature = "failpoints"))]
    let _ = name;
    None
}

#[cfg(feature = "failpoints")]
fn obey(name: &str, told: Option<&str>) {
    use std::io::Write as _;

    // Not through the log, whose thread might not get to write it.
    let _ = writeln!(std::io::stderr(), "failpoint {name}: {}", told.unwrap_or("passed"));
    match told {
        Some("pause") => loop {
            std::thread::park();
        },
        Some("abort") => std::process::abort(),
        _ => {}
    }
}
