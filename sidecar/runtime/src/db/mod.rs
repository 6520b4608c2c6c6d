//! Connections to PostgreSQL: the pool of the handlers and single sessions for leader and inbox,
//! each with the settings that it relies on.
//!
//! A role or a database may carry settings that hurt us (`ALTER ROLE main SET statement_timeout =
//! '50ms'`). So each connection sets the settings that we rely on, by a statement of its own.
//! Connection poolers would refuse them in the start-up packet (`options`).

mod counts;
mod error;
mod places;
mod pool;
mod pooler;
mod prepare;
mod servers;
mod session;
mod sqlstate;
pub mod standby;

pub use self::{
    counts::DbCounts,
    error::{DbError, plain},
    pool::{Pool, Pooled, plain_pool_error},
    servers::Servers,
    session::{Session, session},
};
pub use self::{
    pool::pool,
    prepare::{CHECK as DATABASE, prepare},
    sqlstate::{RAISED_FAULT, is_again, is_held, is_lost, is_passing, is_refusal, is_shortage},
};
