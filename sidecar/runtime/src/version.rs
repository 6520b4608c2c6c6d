//! The versions of the wire that this release speaks and understands. Tests make it another release
//! by failpoints.

use tpro_wire::{Version, Versions};

use crate::failpoint;

/// The version of our requests.
pub fn spoken() -> Version {
    pretended("version.spoken").unwrap_or(Version::CURRENT)
}

/// The versions of requests that we understand.
pub fn understood() -> Versions {
    let Versions { oldest, newest } = Versions::UNDERSTOOD;
    Versions {
        oldest: pretended("version.oldest").unwrap_or(oldest),
        newest: pretended("version.newest").unwrap_or(newest),
    }
}

fn pretended(point: &'static str) -> Option<Version> {
    Version::new(u16::try_from(failpoint::number(point)?).ok()?)
}
