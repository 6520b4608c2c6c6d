//! The known servers, and the choice of the best one to connect to.

use std::{
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{address::Address, random};

/// Servers that a cluster may tell of.
const SERVERS_MAX: usize = 64;
/// The time for which a server that is about to stop is passed over, if there is another.
const LAME_FOR: Duration = Duration::from_secs(300);

/// The servers that are known.
pub(super) struct Roster(Mutex<Vec<Server>>);

struct Server {
    /// `host:port`
    address: String,
    /// The name that its certificate must be for.
    name: String,
    failures: u32,
    /// The moment at which it said that it is about to stop.
    lame: Option<Instant>,
    /// The connection leads to it.
    current: bool,
}

impl Roster {
    /// The servers of these URLs.
    pub fn new(urls: &[String]) -> Self {
        let servers = urls.iter().filter_map(|url| Server::of(url)).collect();
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

    /// The name that the certificate of this server must be for.
    pub fn name(&self, address: &str) -> String {
        let servers = self.servers();
        let known = servers.iter().find(|server| server.address == address);
        known.map(|server| server.name.clone()).unwrap_or_default()
    }

    /// The cluster has other servers, one of its servers says. It tells them by their IP addresses
    /// as a rule, and their certificates are for the name that leads to the cluster.
    pub fn learn(&self, urls: Vec<String>, teller: &str) {
        let cluster = Some(self.name(teller)).filter(|name| name.parse::<IpAddr>().is_err());
        let mut servers = self.servers();
        for mut server in urls.iter().filter_map(|url| Server::of(url)) {
            let known = servers.iter().any(|other| other.address == server.address);
            if !known && servers.len() < SERVERS_MAX {
                if let Some(cluster) = cluster.as_ref().filter(|_| server.name.parse::<IpAddr>().is_ok()) {
                    server.name.clone_from(cluster);
                }
                servers.push(server);
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
    /// The server of a URL.
    fn of(url: &str) -> Option<Self> {
        let address = Address::parse(url)?;
        Some(Self {
            address: address.to_string(),
            name: address.host,
            failures: 0,
            lame: None,
            current: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_are_told_by_address_have_certificates_for_the_cluster() {
        let roster = Roster::new(&["tls://nats.example:4222", "tls://[::1]:1"].map(str::to_owned));
        assert_eq!(
            (roster.name("nats.example:4222"), roster.name("[::1]:1")),
            ("nats.example".into(), "::1".into())
        );
        let told = ["10.0.0.1:4222", "other.example:4222"].map(str::to_owned);
        roster.learn(told.to_vec(), "nats.example:4222");
        assert_eq!(roster.name("10.0.0.1:4222"), "nats.example");
        assert_eq!(roster.name("other.example:4222"), "other.example");
        roster.learn(vec!["10.0.0.2:4222".to_owned()], "[::1]:1");
        assert_eq!(roster.name("10.0.0.2:4222"), "10.0.0.2");
    }

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
