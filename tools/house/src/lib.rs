//! The house of tpro as its sources show it: the crates, their arrows, the circles among
//! modules, the English of comments and texts, and the length of files.
//!
//! `make crates` prints it, and the tests of this crate say what must hold.
#![forbid(unsafe_code)]

pub mod arrows;
pub mod crates;
pub mod english;
pub mod exports;
pub mod length;
pub mod modules;
mod named;
pub mod pure;
pub mod source;

use std::path::{Path, PathBuf};

/// The root of the checkout.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_path_buf()
}
