//! The contents of the memory stay there: bodies, the token, the password.

use std::{fs, io};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The parts of the memory that the kernel puts into a dump, as bits.
const FILTER: &str = "/proc/self/coredump_filter";

/// The settings of before, for users who want dumps.
pub(super) struct Before {
    limit: Rlimit,
    filter: Option<String>,
}

/// From here on a crash leaves no core file, and a program that takes dumps gets one without
/// memory. (`|program` in core_pattern names it, and the limit does not count for it.)
///
/// PR_SET_DUMPABLE would have this effect, too. But it also gives `/proc/PID` to root, and `make`
/// and monitoring look into it.
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
    /// `CORE_DUMPS=yes`: the filter of before, and the largest size that is allowed.
    pub(super) fn again(self) -> io::Result<()> {
        setrlimit(Resource::Core, Rlimit { current: self.limit.maximum, maximum: self.limit.maximum })?;
        match self.filter {
            // make gives its children an empty filter.
            Some(bits) if bits.trim_start_matches(['0', 'x']).is_empty() => fs::write(FILTER, "0x33"),
            Some(bits) => fs::write(FILTER, bits),
            None => Ok(()),
        }
    }
}
