//! The only part that knows PostgreSQL and NATS: it tells the [core](crate::core) what happens, and
//! does what the core asks for.

pub(crate) mod begin;
mod binary;
pub(crate) mod fall;
mod forward;
mod handlers;
mod headers;
mod jobs;
pub(crate) mod leader;
pub(crate) mod outbox;
mod recovery;
mod row;
mod sender;
mod sending;
