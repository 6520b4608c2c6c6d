//! What is in memory stays there: bodies, the token, the password.

use std::{fs, io};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Which parts of the memory the kernel puts into a dump, as bits.
const FILTER: &str = "/proc/self/coredump_filter";

/// What held before, for whoever wants dumps.
pub(super) struct Before {
    limit: Rlimit,
    filter: Option<String>,
}

/// From here on a crash leaves no core file, and a program that takes dumps (`|program` in core_pattern, for which the limit does
/// not count) gets one without memory.
///
/// PR_SET_DUMPABLE would do the same; but it also gives `/proc/PID` to root, which `make` and monitoring look into.
pub(super) fn forbid() -> io::Result<Before> {
    let limit = getrlimit(Resource::Core);
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: limit.maximum })?;
    // A kernel without it makes no dumps.
    let filter = fs::read_to_string(FILTER).ok().map(|bits| format!("0x{}", bits.trim()));
    if filter.is_some() {
        fs::write(FILTER, "0")?;
    }
    Ok(Before { limit, filter })
}

impl Before {
    /// `CORE_DUMPS=yes`: as it was, and as large as it may be.
    pub(super) fn again(self) -> io::Result<()> {
        setrlimit(Resource::Core, Rlimit { current: self.limit.maximum, maximum: self.limit.maximum })?;
        match self.filter {
            // What make gives to its children is that there is nothing in it.
            Some(bits) if bits.trim_start_matches(['0', 'x']).is_empty() => fs::write(FILTER, "0x33"),
            Some(bits) => fs::write(FILTER, bits),
            None => Ok(()),
        }
    }
}
