//! The choices of the user: a key that the user sets is not filled in by make.

use crate::checkout::Checkout;
use crate::services;

/// Keys that name a database as DATABASE_URL does.
const DATABASE: [&str; 3] = ["DATABASE_URL", "PGHOST", "PGHOSTADDR"];

/// The value that the user chose for a key, in the environment or in the service's `.env`; none
/// where make may choose.
pub fn by_user(checkout: &Checkout, key: &str, service: Option<&str>) -> Option<String> {
    if let Some(value) = checkout.settings.get(key) {
        return Some(value);
    }
    let file = services::env_file(checkout, service?);
    if file.is_ours(key) {
        return None;
    }
    // A database may be given in parts as well.
    let keys = if key == "DATABASE_URL" { &DATABASE[..] } else { &[key][..] };
    keys.iter().find_map(|key| file.get(key))
}
