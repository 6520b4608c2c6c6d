//! Models of the protocols behind the promise, small enough to be checked exhaustively.
//!
//! Each model takes a [`Variant`-like](bell::Variant) switch: the protocol as built, and the simpler forms that
//! look right and are not. The tests assert that the first holds in every reachable state and that the checker
//! refutes each of the others, so that a model too weak to see the fault cannot pass.
#![forbid(unsafe_code)]

pub mod bell;
pub mod cursor;
pub mod inbox;
pub mod leadership;
mod reach;
