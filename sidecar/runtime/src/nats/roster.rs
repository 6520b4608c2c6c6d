//! The known servers, and the choice of the best one to connect to.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::ServerAddr;
use tokio::time::Instant;

use crate::random;

/// Servers that a cluster may tell of.
const SERVERS_MAX: usize = 64;
/// The time for which a server that is about to stop is passed over, if there is another.
const LAME_FOR: Duration = Duration::from_secs(300);

/// The servers that are known.
pub(super) struct Roster(Mutex<Vec<Server>>);

struct Server {
    /// `host:port`
    address: String,
    failures: u32,
    /// The moment at which it said that it is about to stop.
    lame: Option<Instant>,
    /// The connection leads to it.
    current: bool,
}

impl Roster {
    /// The servers of these URLs.
    pub fn new(urls: &[String]) -> Self {
        let servers = urls.iter().filter_map(|url| address_of(url)).map(Server::new).collect();
        Self(Mutex::new(servers))
    }

    /// The address of the server that the connection leads to.
    pub fn current(&self) -> Option<String> {
        self.servers().iter().find(|server| server.current).map(|server| server.address.clone())
    }

    /// The connection leads to this server.
    pub fn joined(&self, address: &str) {
        self.of(address, |server| server.current = true);
    }

    /// The connection to this server has ended.
    pub fn left(&self, address: &str) {
        self.of(address, |server| server.current = false);
    }

    /// The server takes the login.
    pub fn accepted(&self, address: &str) {
        self.of(address, |server| server.failures = 0);
    }

    /// The server could not be reached, or has ended the connection.
    pub fn failed(&self, address: &str) {
        self.of(address, |server| server.failures = server.failures.saturating_add(1));
    }

    /// The server is about to stop.
    pub fn stops(&self, address: &str) {
        self.of(address, |server| server.lame = Some(Instant::now()));
    }

    /// The addresses, best first.
    pub fn in_order(&self) -> Vec<String> {
        let mut servers: Vec<_> = self
            .servers()
            .iter()
            .map(|server| {
                let lame = server.lame.is_some_and(|since| since.elapsed() < LAME_FOR);
                ((lame, server.failures, random::next_u64()), server.address.clone())
            })
            .collect();
        servers.sort();
        servers.into_iter().map(|(_, address)| address).collect()
    }

    /// The cluster has other servers.
    pub fn learn(&self, urls: Vec<String>) {
        let mut servers = self.servers();
        for address in urls.iter().filter_map(|url| address_of(url)) {
            let known = servers.iter().any(|server| server.address == address);
            if !known && servers.len() < SERVERS_MAX {
                servers.push(Server::new(address));
            }
        }
    }
    fn servers(&self) -> MutexGuard<'_, Vec<Server>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, address: &str, change: impl FnOnce(&mut Server)) {
        if let Some(server) = self.servers().iter_mut().find(|server| server.address == address) {
            change(server);
        }
    }
}

impl Server {
    fn new(address: String) -> Self {
        Self { address, failures: 0, lame: None, current: false }
    }
}

/// `host:port` of a URL.
fn address_of(url: &str) -> Option<String> {
    let url: ServerAddr = url.parse().ok()?;
    Some(match url.host() {
        host if host.contains(':') => format!("[{host}]:{}", url.port()),
        host => format!("{host}:{}", url.port()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_failed_comes_behind_the_others_and_one_about_to_stop_last() {
        let roster = Roster::new(&["nats://a:1", "nats://b:2", "nats://c:3"].map(str::to_owned));
        roster.failed("a:1");
        roster.stops("b:2");
        for _ in 0..20 {
            assert_eq!(roster.in_order(), ["c:3", "a:1", "b:2"]);
        }
    }
}
