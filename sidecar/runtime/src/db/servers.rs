//! The servers that the database may be on: a primary and those that follow it, of which one may be
//! promoted.
//!
//! A caller that asks for a connection gets one to the newest primary. A standby is passed over,
//! and so is a server with a lower timeline than one that was seen. That server was left behind at
//! a promotion. It may well come back, believe that it is the primary, and stand first in the list.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_postgres::{
    CancelToken, Client, Connection, Socket,
    config::{Host, LoadBalanceHosts},
};
use tpro_tls::{Stream, postgres::Tls};

use super::{DbError, pooler::is_mixed_up};
use crate::config::Config;

/// The longest time for the settings and the first question. Connecting has its own limit.
const GREETING: Duration = Duration::from_secs(5);

/// The questions to a server: backend, standby or not, timeline (a standby has none of its own).
const WHO: &str = "SELECT pg_backend_pid(), pg_is_in_recovery(), \
    CASE WHEN NOT pg_is_in_recovery() THEN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END";

/// The servers, and their state as far as it is known. One for the process.
pub struct Servers {
    each: Vec<tokio_postgres::Config>,
    tls: Tls,
    /// The server that was good last.
    good: AtomicUsize,
    /// The highest timeline that was seen; 0 before the first.
    newest: AtomicU32,
    /// The moment at which a promotion was seen: connections from before may be to the server that
    /// was left behind.
    promoted: Mutex<Option<Instant>>,
    name: String,
}

/// A connection, with its driver.
pub(super) struct Opened<D> {
    pub client: Client,
    pub driver: D,
    pub pid: i32,
    timeline: u32,
}

/// The result of a try with one server.
enum Tried<D> {
    Good(Opened<D>),
    /// There is a connection, and it is of no use.
    Bad(Opened<D>, DbError),
    Failed(DbError),
}

impl Servers {
    /// The servers of a configuration; nothing is connected yet.
    pub fn of(config: &Config) -> Self {
        Self {
            each: each(&config.database),
            tls: config.database_tls.clone(),
            good: AtomicUsize::new(0),
            newest: AtomicU32::new(0),
            promoted: Mutex::default(),
            name: format!("tpro/{}/{}", config.service, config.copy),
        }
    }

    /// Notes a server's timeline, and returns the highest that this process had seen before.
    pub fn note(&self, timeline: u32) -> u32 {
        let seen = self.newest.fetch_max(timeline, Ordering::Relaxed);
        if (1..timeline).contains(&seen) {
            *self.promoted() = Some(Instant::now());
        }
        seen
    }

    /// Opens a connection to the newest primary. `drive` gets the part that must be polled for the
    /// client to make progress.
    pub(super) async fn open<D>(
        &self,
        what: &str,
        settings: &str,
        drive: impl Fn(Connection<Socket, Stream<Socket>>) -> D,
    ) -> Result<Opened<D>, DbError> {
        self.open_any(what, settings, drive).await.map_err(|(error, _)| error)
    }

    /// Opens a connection as [`Self::open`] does. If no server is good, a connection to a bad one
    /// comes with the error, if there is one.
    pub(super) async fn open_any<D>(
        &self,
        what: &str,
        settings: &str,
        drive: impl Fn(Connection<Socket, Stream<Socket>>) -> D,
    ) -> Result<Opened<D>, (DbError, Option<Opened<D>>)> {
        let first = self.good.load(Ordering::Relaxed);
        // At the start nothing is known of timelines, so that all are asked and the newest is
        // taken.
        let all = self.newest.load(Ordering::Relaxed) == 0;
        let mut best: Option<(usize, Opened<D>)> = None;
        let (mut failure, mut bad) = (None, None);
        for n in (0..self.each.len()).map(|n| (first + n) % self.each.len()) {
            match self.try_one(&self.each[n], what, settings, &drive).await {
                Tried::Good(opened) => {
                    if best.as_ref().is_none_or(|(_, best)| best.timeline < opened.timeline) {
                        best = Some((n, opened));
                    }
                    if !all {
                        break;
                    }
                }
                Tried::Bad(opened, error) => {
                    failure = Some(worse(failure, error));
                    bad = Some(opened);
                }
                Tried::Failed(error) => failure = Some(worse(failure, error)),
            }
        }
        if let Some((n, opened)) = best {
            self.good.store(n, Ordering::Relaxed);
            return Ok(opened);
        }
        Err((failure.unwrap_or(DbError::Standby), bad))
    }

    async fn try_one<D>(
        &self,
        server: &tokio_postgres::Config,
        what: &str,
        settings: &str,
        drive: &impl Fn(Connection<Socket, Stream<Socket>>) -> D,
    ) -> Tried<D> {
        let mut server = server.clone();
        // At most 63 bytes, which the longest name of a service keeps.
        server.application_name(format!("{}/{what}", self.name));
        let (client, connection) = match self.tls.connect(&server).await {
            Ok(opened) => opened,
            Err(error) => return Tried::Failed(DbError::connecting(error)),
        };
        let mut opened = Opened { client, driver: drive(connection), pid: 0, timeline: 0 };
        let client = &opened.client;
        let greeting = async {
            client.batch_execute(settings).await?;
            client.query_one(WHO, &[]).await
        };
        let row = match tokio::time::timeout(GREETING, greeting).await {
            Ok(Ok(row)) => row,
            Ok(Err(error)) if is_mixed_up(&error) => return Tried::Bad(opened, DbError::Pooled),
            Ok(Err(error)) => return Tried::Failed(DbError::Unreachable(error)),
            Err(_) => {
                let error = DbError::Silent { what: "the greeting", seconds: GREETING.as_secs() };
                return Tried::Bad(opened, error);
            }
        };
        opened.pid = row.get(0);
        match self.judge(row.get(1), row.get(2)) {
            Ok(timeline) => {
                opened.timeline = timeline;
                Tried::Good(opened)
            }
            Err(error) => Tried::Bad(opened, error),
        }
    }

    /// Cancels the statement that runs on a connection.
    pub async fn cancel(&self, token: &CancelToken) -> Result<(), tokio_postgres::Error> {
        self.tls.cancel(token).await
    }

    /// True if a connection is to the newest primary, by its own words.
    pub(super) async fn look(&self, client: &Client) -> Result<Result<(), DbError>, tokio_postgres::Error> {
        let row = client.query_one(WHO, &[]).await?;
        Ok(self.judge(row.get(1), row.get(2)).map(drop))
    }

    /// True if a connection that was opened then may be to a server that has been left behind
    /// since.
    pub(super) fn is_outdated(&self, opened: Instant) -> bool {
        self.promoted().is_some_and(|promoted| opened < promoted)
    }

    fn promoted(&self) -> MutexGuard<'_, Option<Instant>> {
        self.promoted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The timeline of a server that is good.
    fn judge(&self, standby: bool, timeline: Option<&str>) -> Result<u32, DbError> {
        if standby {
            return Err(DbError::Standby);
        }
        let ours = timeline.and_then(|text| u32::from_str_radix(text, 16).ok()).unwrap_or_default();
        let seen = self.note(ours);
        if seen > ours { Err(DbError::LeftBehind { seen, ours }) } else { Ok(ours) }
    }
}

/// The failure to tell, of two: the one that says most of the servers. A refused login ends the
/// process, and only where no server says anything else.
fn worse(first: Option<DbError>, second: DbError) -> DbError {
    let says = |error: &DbError| match error {
        DbError::Refused(_) => 0,
        DbError::Unreachable(_) | DbError::Silent { .. } => 1,
        DbError::Standby => 2,
        DbError::LeftBehind { .. } | DbError::Pooled => 3,
    };
    first.filter(|first| says(first) >= says(&second)).unwrap_or(second)
}

/// One configuration for each server, as libpq pairs hosts, addresses and ports.
fn each(config: &tokio_postgres::Config) -> Vec<tokio_postgres::Config> {
    let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let count = hosts.len().max(addresses.len());
    if count < 2 {
        return vec![config.clone()];
    }
    (0..count)
        .map(|n| {
            let mut one = tokio_postgres::Config::new();
            match hosts.get(n) {
                Some(Host::Tcp(host)) => drop(one.host(host)),
                Some(Host::Unix(path)) => drop(one.host_path(path)),
                None => {}
            }
            if let Some(address) = addresses.get(n) {
                one.hostaddr(*address);
            }
            if let Some(port) = ports.get(n).or(ports.first()) {
                one.port(*port);
            }
            copy_rest(config, &mut one);
            one
        })
        .collect()
}

/// Copies everything but the address. The question which server is the primary is ours.
fn copy_rest(from: &tokio_postgres::Config, to: &mut tokio_postgres::Config) {
    if let Some(user) = from.get_user() {
        to.user(user);
    }
    if let Some(password) = from.get_password() {
        to.password(password);
    }
    if let Some(name) = from.get_dbname() {
        to.dbname(name);
    }
    if let Some(options) = from.get_options() {
        to.options(options);
    }
    if let Some(limit) = from.get_connect_timeout() {
        to.connect_timeout(*limit);
    }
    if let Some(limit) = from.get_tcp_user_timeout() {
        to.tcp_user_timeout(*limit);
    }
    if let Some(interval) = from.get_keepalives_interval() {
        to.keepalives_interval(interval);
    }
    if let Some(retries) = from.get_keepalives_retries() {
        to.keepalives_retries(retries);
    }
    to.keepalives(from.get_keepalives()).keepalives_idle(from.get_keepalives_idle());
    to.ssl_mode(from.get_ssl_mode()).ssl_negotiation(from.get_ssl_negotiation());
    to.channel_binding(from.get_channel_binding()).load_balance_hosts(LoadBalanceHosts::Disable);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_hosts_are_a_configuration_each() {
        let url = "postgresql://main:secret@one:1,two:2/app?connect_timeout=3&options=-cjit%3Doff";
        let config: tokio_postgres::Config = url.parse().expect("it is a URL");
        let servers = each(&config);
        assert_eq!(servers.len(), 2);
        for (server, (host, port)) in servers.iter().zip([("one", 1), ("two", 2)]) {
            let url =
                format!("postgresql://main:secret@{host}:{port}/app?connect_timeout=3&options=-cjit%3Doff");
            assert_eq!(*server, url.parse().expect("it is a URL"));
        }
    }

    #[test]
    fn of_several_failures_the_one_is_told_that_says_most() {
        let silent = || DbError::Silent { what: "it", seconds: 1 };
        let behind = || DbError::LeftBehind { seen: 2, ours: 1 };
        assert!(matches!(worse(Some(silent()), behind()), DbError::LeftBehind { .. }));
        assert!(matches!(worse(Some(behind()), silent()), DbError::LeftBehind { .. }));
        assert!(matches!(worse(Some(DbError::Standby), silent()), DbError::Standby));
        assert!(matches!(worse(None, silent()), DbError::Silent { .. }));
    }

    #[test]
    fn one_port_serves_all_hosts() {
        let config: tokio_postgres::Config = "host=one,two port=5433 user=main".parse().expect("it is right");
        assert!(each(&config).iter().all(|server| server.get_ports() == [5433]));
    }

    #[test]
    fn a_standby_and_what_was_left_behind_are_told_from_the_primary() {
        let servers = Servers {
            each: Vec::new(),
            tls: Config::sample(&[]).database_tls,
            good: AtomicUsize::new(0),
            newest: AtomicU32::new(0),
            promoted: Mutex::default(),
            name: String::new(),
        };
        assert!(matches!(servers.judge(true, None), Err(DbError::Standby)));
        assert!(matches!(servers.judge(false, Some("00000001")), Ok(1)));
        let before = Instant::now();
        assert!(!servers.is_outdated(before), "the first server that is seen was not promoted meanwhile");
        assert!(matches!(servers.judge(false, Some("0000000A")), Ok(10)));
        assert!(servers.is_outdated(before) && !servers.is_outdated(Instant::now()));
        assert!(matches!(
            servers.judge(false, Some("00000001")),
            Err(DbError::LeftBehind { seen: 10, ours: 1 })
        ));
    }
}
