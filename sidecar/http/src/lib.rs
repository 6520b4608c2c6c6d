//! HTTP/1 on a port that anybody on the machine can reach: with a limit for time, size and number.
//!
//! [`Listener`] holds a bounded number of connections. When it is full, the connection that has
//! been silent for the longest time makes room. So a new request is answered, however many
//! connections sit there with half a request. [`serve()`] gives the header of a request ten seconds
//! and 16 KiB, and a connection ten minutes.
#![forbid(unsafe_code)]

mod connection;
mod listener;
mod serve;

pub use self::{connection::Connection, listener::Listener, serve::serve};
