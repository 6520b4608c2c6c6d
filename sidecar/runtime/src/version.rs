//! Which version of the wire this release speaks and which it understands. Tests make it another release by failpoints.

use tpro_wire::{Version, Versions};

use crate::failpoint;

/// What our requests speak.
pub fn spoken() -> Version {
    pretended("version.spoken").unwrap_or(Version::CURRENT)
}

/// What we understand of the requests of others.
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
