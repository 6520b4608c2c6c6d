//! The releases of Debian, by the PostgreSQL that each of them has.

use crate::checkout::Checkout;
use crate::failure::{Failure, Outcome};
use crate::settings::shortened;

/// A release of Debian, and the major version of its PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// The version.
    pub postgres: u32,
    /// The name of the release, as the tags of images have it.
    pub name: &'static str,
}

impl Release {
    /// The name of a thing that has this PostgreSQL in it. All but [`BOOKWORM`] have the version
    /// there.
    pub fn named(self, what: &str) -> String {
        if self == BOOKWORM { what.to_owned() } else { format!("{what}_{}", self.postgres) }
    }
}

/// The release of the images of services.
pub const BOOKWORM: Release = Release { postgres: 15, name: "bookworm" };

/// All that are known, the oldest first.
pub const RELEASES: [Release; 4] = [
    Release { postgres: 13, name: "bullseye" },
    BOOKWORM,
    Release { postgres: 17, name: "trixie" },
    Release { postgres: 18, name: "forky" },
];

/// The release that has the PostgreSQL of the setting PG, or of this version if it is not set.
pub fn chosen(checkout: &Checkout, usual: u32) -> Outcome<Release> {
    let given = checkout.settings.get("PG");
    let major = given.clone().unwrap_or_else(|| usual.to_string());
    let found = RELEASES.iter().find(|release| release.postgres.to_string() == major);
    found.copied().ok_or_else(|| {
        let all = RELEASES.map(|release| release.postgres.to_string()).join(", ");
        Failure::new(format!("PG={}: no release of Debian has that PostgreSQL", shortened(&major)))
            .remedy(format!("say one of {all}"))
    })
}
