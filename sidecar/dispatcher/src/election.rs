//! The right to lead: the gate before everything else, and the claims by which copies of several
//! servers find each other.

pub(crate) mod claim;
pub mod gate;
pub mod identity;
pub mod refusal;
mod said;
pub mod standing;
pub(crate) mod watch;
