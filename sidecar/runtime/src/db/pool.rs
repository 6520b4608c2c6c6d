//! The pool of connections for handlers and reply handlers.

use std::{ops::Deref, sync::Arc, time::Duration};

use deadpool_postgres::{
    ClientWrapper, Connect, Hook, HookError, Manager, ManagerConfig, Object, PoolError, RecyclingMethod,
    Runtime, Status, Timeouts,
};
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Connection, Error, Socket};
use tpro_tls::Stream;
use tpro_wire::Priority;

use super::{
    DbError,
    places::{Place, Places},
    plain,
    servers::Servers,
};
use crate::config::Config;

/// The handlers' pool. Those who wait for a connection get it by the priority of their message.
#[derive(Clone)]
pub struct Pool {
    connections: deadpool_postgres::Pool,
    /// As many as there may be connections. Only who has one asks for a connection.
    places: Places,
}

/// A connection of the pool, given back when it is dropped.
pub struct Pooled {
    connection: Object,
    /// Given back after the connection.
    place: Place,
}

impl Pool {
    /// Waits for a connection.
    pub async fn get(&self, priority: Priority) -> Result<Pooled, PoolError> {
        let place = self.places.take(priority).await.map_err(|_| PoolError::Closed)?;
        Ok(Pooled { connection: self.connections.get().await?, place })
    }

    /// A connection ahead of all who wait, for a look at the database.
    pub async fn look(&self, timeouts: &Timeouts) -> Result<Object, PoolError> {
        self.connections.timeout_get(timeouts).await
    }

    /// The connections, and how many wait for one.
    pub fn status(&self) -> Status {
        let status = self.connections.status();
        Status { waiting: status.waiting + self.places.waiting(), ..status }
    }

    /// Closes connections that are free, and gives out no more.
    pub fn close(&self) {
        self.places.close();
        self.connections.close();
    }
}

impl Pooled {
    /// Takes it out of the pool, which makes another one.
    pub fn leave(self) -> ClientWrapper {
        let Self { connection, place } = self;
        let connection = Object::take(connection);
        drop(place);
        connection
    }
}

impl Deref for Pooled {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        &self.connection
    }
}

/// The settings that a handler may rely on, for any role and database.
///
/// `statement_timeout` is off, since a handler is bounded by the budget of its message and not by a
/// constant. `"$user"` is not in the search path: a schema that happens to be named like the login
/// role would shadow the tables of others. `pg_temp` is last, so that a temporary table cannot
/// shadow anything.
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

/// The longest time for a new connection in all.
const CREATE: Duration = Duration::from_secs(10);

/// The pool. It connects when it is asked for the first connection.
///
/// Connections are recycled `Fast`: the pool looks if they are closed, and asks the server nothing.
/// The question would cost a round trip for every message and prove nothing about the moment after.
/// When a connection breaks in a handler's hands, the message is sent again, which a handler must
/// be able to stand anyway. A handler that changes settings uses `SET LOCAL`.
pub fn pool(config: &Config, servers: &Arc<Servers>) -> Pool {
    let manager = Manager::from_connect(
        config.database.clone(),
        Primary(servers.clone()),
        ManagerConfig { recycling_method: RecyclingMethod::Fast },
    );
    let (servers, promoted) = (servers.clone(), servers.clone());
    let connections = deadpool_postgres::Pool::builder(manager)
        .max_size(config.pool_max)
        .runtime(Runtime::Tokio1)
        // No limit on waiting for a free one: those who wait have a budget of their own.
        .create_timeout(Some(CREATE))
        // A connection to a server that was left behind works as ever, for nobody.
        .pre_recycle(Hook::sync_fn(move |_, metrics| match promoted.is_outdated(metrics.created) {
            true => Err(HookError::message("another server was promoted meanwhile")),
            false => Ok(()),
        }))
        .post_create(Hook::async_fn(move |client, _| {
            let servers = servers.clone();
            Box::pin(async move {
                match servers.look(client).await.map_err(HookError::Backend)? {
                    Ok(()) => Ok(()),
                    Err(unfit) => Err(HookError::message(unfit.to_string())),
                }
            })
        }))
        .build()
        // Only a time limit without a runtime is refused, and there is a runtime.
        .unwrap_or_else(|error| unreachable!("{error}"));
    Pool { connections, places: Places::new(config.pool_max) }
}

/// Connects to the newest primary.
struct Primary(Arc<Servers>);

impl Connect for Primary {
    fn connect(&self, _: &tokio_postgres::Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        let drive = |connection: Connection<Socket, Stream<Socket>>| {
            // A caller with an open statement gets the error.
            tokio::spawn(async move { drop(connection.await) })
        };
        Box::pin(async move {
            match self.0.open_any("pool", SETTINGS, drive).await {
                Ok(opened) => Ok((opened.client, opened.driver)),
                Err((DbError::Refused(error) | DbError::Unreachable(error), _)) => Err(error),
                // An unfit connection is named in our own words when it is looked at again.
                Err((_, Some(unfit))) => Ok((unfit.client, unfit.driver)),
                Err((_, None)) => {
                    unreachable!("a failure of a server is known from a connection to it")
                }
            }
        })
    }
}

/// The reason why the pool gave no connection, in words without secrets.
pub fn plain_pool_error(error: &PoolError) -> String {
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => plain(error),
        PoolError::PostCreateHook(HookError::Message(text)) => text.to_string(),
        other => other.to_string(),
    }
}
