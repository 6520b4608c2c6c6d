//! The names by which the viewer is called.
//!
//! A page of anybody's can have its own name lead to 127.0.0.1 (DNS rebinding) and read the answers
//! there. It cannot have the browser say another name than its own: so requests under a strange
//! name are refused. An address is no name.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::uri::Authority;

/// The names that are taken.
#[derive(Clone)]
pub struct Hosts {
    address: IpAddr,
    names: Arc<[String]>,
}

impl Hosts {
    /// The names of a server that is bound to this address, beside those of the loopback.
    pub fn new(address: SocketAddr, names: &[String]) -> Self {
        Self { address: address.ip(), names: names.iter().map(|name| name.to_ascii_lowercase()).collect() }
    }

    /// True if a request calls us by one of our names. Only programs leave the name out, no browser
    /// does.
    pub fn know(&self, request: &Request) -> bool {
        let mut said = request.headers().get_all(HOST).iter();
        let header =
            said.next().map(|value| value.to_str().ok().and_then(|text| text.parse::<Authority>().ok()));
        let called = request.uri().authority().cloned();
        let header = match header {
            Some(None) => return false,
            Some(Some(name)) => Some(name),
            None => None,
        };
        said.next().is_none() && [header, called].into_iter().flatten().all(|name| self.knows(name.host()))
    }

    fn knows(&self, host: &str) -> bool {
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        match host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback() || address == self.address || self.address.is_unspecified(),
            Err(_) => host == "localhost" || host.ends_with(".localhost") || self.names.contains(&host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_names_are_known() {
        let name = |address: &str, host: &str| {
            let hosts = Hosts::new(address.parse().expect("an address"), &["Traces.example".to_owned()]);
            let request = Request::builder().header(HOST, host).body(axum::body::Body::empty());
            hosts.know(&request.expect("a request"))
        };
        for host in [
            "localhost",
            "LOCALHOST:16686",
            "a.localhost",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:5",
            "traces.example:80",
        ] {
            assert!(name("127.0.0.1:16686", host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "",
            "a b",
            "127.0.0.1@evil.example:80",
        ] {
            assert!(!name("127.0.0.1:16686", host), "{host}");
        }
        assert!(name("10.0.0.1:16686", "10.0.0.1:16686") && !name("10.0.0.1:16686", "10.0.0.2"));
        assert!(name("0.0.0.0:16686", "10.0.0.2") && !name("0.0.0.0:16686", "evil.example"));
    }
}
