//! The ground of a simulation: a PostgreSQL and a NATS as state machines without IO, and a scheduler with a clock that jumps.
//!
//! One generator makes every choice, so that a seed replays to the letter. The servers know no clock and no randomness of
//! their own: the time is an argument, and a choice is a call of the scheduler's owner. The tests of this crate run the same
//! random scripts on these servers and on the real ones, and compare what comes back.
#![forbid(unsafe_code)]

pub mod nats;
pub mod plants;
pub mod postgres;
pub mod random;
pub mod scheduler;
pub mod time;
pub mod trace;
pub mod world;
