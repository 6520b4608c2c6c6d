//! TLS to PostgreSQL and to NATS.
//!
//! [`Settings`] say which servers are trusted, and which certificate is shown to them. The files
//! are read again for each connection, so that a renewed certificate needs no restart.
//! [`Settings::check`] reads them once at the start. A file that cannot be taken is a [`Problem`],
//! a handshake that fails a [`Failure`]. Both are one line that names the setting.
//!
//! [`postgres`] has the rules of libpq for `sslmode` and its files.
#![forbid(unsafe_code)]

mod client;
mod der;
mod failure;
mod file;
mod handshake;
mod names;
pub mod parameters;
mod peer;
pub mod postgres;
mod problem;
mod settings;
mod stream;
mod verifier;

pub use self::{
    failure::Failure,
    file::{Named, secret, shown},
    names::Names,
    problem::Problem,
    settings::{Own, Root, Settings, Trust},
    stream::Stream,
};
