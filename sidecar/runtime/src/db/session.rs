//! A session that is not from the pool.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, Connection, Socket};
use tpro_tls::Stream;

use super::{DbError, servers::Servers};

/// The settings that the session relies on, for any role and database.
///
/// `row_security = off` makes a policy that would hide rows an error: a row that a read does not
/// see is passed over for ever. The reader's cost was measured with `plan_cache_mode`, `jit` and no
/// parallelism. `statement_timeout` frees a session whose statement hangs,
/// `idle_in_transaction_session_timeout` one whose process froze within a transaction: a leader
/// that is gone must not keep the lock. The `tcp_` settings are the server's own watch over a
/// client that is gone without a word (on a Unix socket the server ignores them).
const SETTINGS: &str = "\
    SET search_path = pg_catalog, pg_temp; \
    SET default_transaction_isolation = 'read committed'; \
    SET default_transaction_read_only = off; \
    SET default_transaction_deferrable = off; \
    SET row_security = off; \
    SET plan_cache_mode = force_generic_plan; \
    SET jit = off; \
    SET max_parallel_workers_per_gather = 0; \
    SET statement_timeout = '30s'; \
    SET lock_timeout = 0; \
    SET idle_session_timeout = 0; \
    SET idle_in_transaction_session_timeout = '30s'; \
    SET DateStyle = 'ISO, YMD'; \
    SET IntervalStyle = 'postgres'; \
    SET TimeZone = 'UTC'; \
    SET extra_float_digits = 1; \
    SET bytea_output = 'hex'; \
    SET client_encoding = 'UTF8'; \
    SET client_min_messages = 'warning'; \
    SET tcp_user_timeout = '10s'; \
    SET tcp_keepalives_idle = 5; \
    SET tcp_keepalives_interval = 2; \
    SET tcp_keepalives_count = 3";

/// Messages of the server that nobody has read yet. A bell that does not fit is one of many, and
/// may be lost.
const MESSAGES: usize = 256;

/// A session that is not from the pool, with the messages that the server sends by itself (NOTIFY,
/// notices).
pub struct Session {
    /// Statements go here.
    pub client: Client,
    /// Notifications. The stream ends with the connection. A task drives the connection, so that
    /// statements make progress also when nobody reads this stream.
    pub messages: BoxStream<'static, AsyncMessage>,
    /// Set when a message was dropped because nobody had read those before it.
    pub missed: Arc<AtomicBool>,
    /// The backend's pid.
    pub pid: i32,
}

/// Opens a session for `what` (`leader`, `inbox`), with our settings. `application_name` is
/// `tpro/<service>/<copy>/<what>`.
pub async fn session(servers: &Servers, what: &'static str) -> Result<Session, DbError> {
    let missed = Arc::<AtomicBool>::default();
    let dropped = missed.clone();
    let drive = |connection| {
        let (sender, receiver) = mpsc::channel(MESSAGES);
        // Not on the tracker: it ends by itself when the client is dropped or the connection is
        // lost, and must drive the connection as long as there is a client, also while everything
        // else stops.
        tokio::spawn(drive(connection, sender, dropped.clone()));
        receiver
    };
    let opened = servers.open(what, SETTINGS, drive).await?;
    let messages =
        stream::unfold(opened.driver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    Ok(Session { client: opened.client, messages: messages.boxed(), missed, pid: opened.pid })
}

/// Drives the connection until it ends, and hands on the messages that the server sends by itself.
async fn drive(
    mut connection: Connection<Socket, Stream<Socket>>,
    messages: mpsc::Sender<AsyncMessage>,
    missed: Arc<AtomicBool>,
) {
    loop {
        match poll_fn(|cx| connection.poll_message(cx)).await {
            Some(Ok(message)) => {
                // Full: the reader has bells enough to wake up by, and is told. Closed: nobody
                // listens, and statements go on.
                if let Err(mpsc::error::TrySendError::Full(_)) = messages.try_send(message) {
                    missed.store(true, Ordering::Relaxed);
                }
            }
            Some(Err(error)) => {
                // A caller with an open statement gets its own error and handles it. Here the error
                // is only worth a debug line.
                tracing::debug!("a connection to the database ended: {}", super::plain(&error));
                return;
            }
            None => return,
        }
    }
}
