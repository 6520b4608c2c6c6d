//! HTTP/1 on a port that anybody on the machine can reach: with a limit for time, size and number.
//!
//! [`Listener`] holds a bounded number of connections: when it is full, the one that has said nothing for the longest time makes
//! room, so that whoever asks now is answered, however many sit there with half a request. [`serve()`] gives a request's header
//! ten seconds and 16 KiB, and a connection ten minutes.
#![forbid(unsafe_code)]

mod connection;
mod listener;
mod serve;

pub use self::{connection::Connection, listener::Listener, serve::serve};
