//! The protocol of the leader, without IO.
//!
//! Nothing in this module opens a connection, reads a clock or draws a random number of its own: moments come in as
//! arguments, and the seed of the generator is handed in. So the same inputs give the same actions, and the test `walls` keeps it
//! that way. The part that knows PostgreSQL and NATS is the driver.

pub(crate) mod answer;
pub(crate) mod barrier;
pub mod bell;
pub mod cursor;
pub(crate) mod dice;
pub mod floor;
pub(crate) mod in_flight;
pub mod incoming;
pub(crate) mod lane;
pub(crate) mod lane_id;
pub(crate) mod lanes;
pub(crate) mod message;
pub(crate) mod note;
pub(crate) mod outcome;
pub mod published;
pub mod reader;
pub mod recall;
pub(crate) mod recovery;
pub(crate) mod reply_queue;
pub(crate) mod retry;
pub(crate) mod settled;
pub(crate) mod settler;
pub mod snapshot;
pub(crate) mod timers;
pub(crate) mod trace;
