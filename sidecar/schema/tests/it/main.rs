//! The tests of `tpro-schema`.
#![allow(clippy::unwrap_used, missing_docs)]

mod bounds;
mod fits;
mod oracle;
mod schemas;
