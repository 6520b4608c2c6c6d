//! The rows that a new leader finds half done by the leader before.
//!
//! The durable cursor is a second old or more. Rows after it may have been sent, and may have been
//! settled; so they are looked through without their bodies, those with a reply are left out, but
//! for the word that it is to be published, and the rest wait as ids in their lanes, marked: a
//! message that may have run already gets a fresh budget, and is never settled as if nobody had
//! taken it. Sending begins meanwhile, at the pace of windows that begin small.

use super::{
    snapshot::{Snapshot, Xid},
    unreplied::Unreplied,
};

/// Rows looked through at a time; they come without bodies.
pub const PAGE: usize = 5_000;

/// A page that was looked through.
#[derive(Debug)]
pub struct Recovered {
    /// The snapshot it was read in.
    pub cur: Snapshot,
    /// The place of its last row.
    pub last: Option<(Xid, i64)>,
    /// It has as many rows as a page may have.
    pub full: bool,
    /// Rows without a reply.
    pub rows: Vec<Unreplied>,
    /// Rows with a reply that name a label for it. The reply may have been published, or not.
    pub owed: Vec<i64>,
}
