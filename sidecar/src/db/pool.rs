//! The pool of connections for handlers and reply handlers.

use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, PoolError, RecyclingMethod, Runtime};
use tokio_postgres::NoTls;

use super::{DbError, plain, session::application_name};
use crate::config::Config;

/// The handlers' pool.
pub type Pool = deadpool_postgres::Pool;

/// What a handler may rely on, whatever role and database say.
///
/// `statement_timeout` is off, since a handler is bounded by the budget of its message and not by a constant.
/// `"$user"` is not in the search path: it would let a schema that happens to be named like the login role shadow the
/// tables of others. `pg_temp` is last, so that a temporary table cannot shadow anything.
const SETTINGS: &str = "\
    SET search_path = pg_catalog, public, pg_temp; \
    SET default_transaction_isolation = 'read committed'; \
    SET default_transaction_read_only = off; \
    SET default_transaction_deferrable = off; \
    SET statement_timeout = 0; \
    SET lock_timeout = 0; \
    SET idle_session_timeout = 0; \
    SET idle_in_transaction_session_timeout = 0; \
    SET DateStyle = 'ISO, YMD'; \
    SET IntervalStyle = 'postgres'; \
    SET extra_float_digits = 1; \
    SET bytea_output = 'hex'; \
    SET client_encoding = 'UTF8'; \
    SET client_min_messages = 'warning'; \
    SET tcp_user_timeout = '10s'; \
    SET tcp_keepalives_idle = 5; \
    SET tcp_keepalives_interval = 2; \
    SET tcp_keepalives_count = 3";

/// How long a new connection may take in all.
const CREATE: Duration = Duration::from_secs(10);

/// The pool; it connects when it is asked for the first connection.
///
/// Connections are recycled `Fast`: a look at whether they are closed, no question to the server. The question would
/// cost a round trip for every message and prove nothing about the moment after; a connection that breaks in a handler's
/// hands is a message that is sent again, which it has to be able to stand anyway. A handler that changes settings uses
/// `SET LOCAL`.
pub(crate) fn pool(config: &Config) -> Pool {
    let mut database = config.database.clone();
    database.application_name(application_name(config, "pool"));
    let manager =
        Manager::from_config(database, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    Pool::builder(manager)
        .max_size(config.pool_max)
        .runtime(Runtime::Tokio1)
        // No limit on waiting for a free one: whoever waits has a budget of their own.
        .create_timeout(Some(CREATE))
        .post_create(Hook::async_fn(|client, _| {
            Box::pin(async move {
                client.batch_execute(SETTINGS).await.map_err(HookError::Backend)?;
                let row =
                    client.query_one("SELECT pg_is_in_recovery()", &[]).await.map_err(HookError::Backend)?;
                match row.get(0) {
                    true => Err(HookError::message(DbError::Standby.to_string())),
                    false => Ok(()),
                }
            })
        }))
        .build()
        // Only a time limit without a runtime is refused, and there is one.
        .unwrap_or_else(|error| unreachable!("{error}"))
}

/// Why the pool gave no connection, in words without secrets.
pub fn plain_pool_error(error: &PoolError) -> String {
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => plain(error),
        PoolError::PostCreateHook(HookError::Message(text)) => text.to_string(),
        other => other.to_string(),
    }
}
