//! The ground that every part of a sidecar stands on: configuration, PostgreSQL, NATS, logs,
//! traces, metrics, health and stop.
//!
//! It knows no dispatcher, no inbox and no handlers. [`app::App`] is all of it, connected;
//! [`watch`] looks after the connections.
#![forbid(unsafe_code)]

mod address;
pub mod app;
pub mod backoff;
pub mod clock;
pub mod config;
pub mod db;
pub mod failpoint;
pub mod health;
pub mod keys;
pub mod log;
pub mod metrics;
pub mod nats;
mod nkey;
pub mod plant;
pub mod presence;
pub mod random;
pub mod settlement;
pub mod shutdown;
pub mod spelling;
pub mod telemetry;
pub mod version;
pub mod watch;
