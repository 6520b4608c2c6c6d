//! The hosts that may be asked: the setting `WEB_HOSTS`.

use std::net::Ipv6Addr;

use reqwest::Url;
use tpro_sidecar::FromSetting;

use crate::{address, host::Host, refusal::Refusal};

/// The rule of the setting.
const RULE: &str = "must be hosts with commas between them: *, api.example.com, *.example.org, 10.0.0.5 or [::1], each with :port if only that port is meant";

/// The hosts that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts(Vec<Entry>);

/// A host of the list, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    pattern: Pattern,
    /// The only port; none: all ports.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// Each host with a public address.
    Public,
    /// Each name that ends in this text, which begins with a point.
    Below(String),
    /// This host.
    Host(Host),
}

/// The addresses that a host may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Public addresses only.
    Public,
    /// All addresses: the host is listed.
    All,
}

impl Hosts {
    /// The addresses that the host of a URL may have, or the rule that keeps a request from it.
    pub(crate) fn reach(&self, url: &Url) -> Result<Reach, Refusal> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refusal::NoUrl);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Login);
        }
        let host = Host::of(url).ok_or(Refusal::NoUrl)?;
        let port = url.port_or_known_default();
        let mut of_port = self.0.iter().filter(|entry| entry.port.is_none() || entry.port == port);
        if of_port.clone().any(|entry| entry.pattern.lists(&host)) {
            return Ok(Reach::All);
        }
        if !of_port.any(|entry| entry.pattern == Pattern::Public) {
            return Err(Refusal::Unlisted);
        }
        match host {
            Host::Address(address) if !address::is_public(address) => Err(Refusal::Private),
            // A name is judged by the addresses that it has when it is connected to.
            _ => Ok(Reach::Public),
        }
    }
}

impl Pattern {
    /// True if this names the host.
    fn lists(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Host(listed), host) => listed == host,
            (Self::Below(end), Host::Name(name)) => name.len() > end.len() && name.ends_with(end.as_str()),
            (Self::Public | Self::Below(_), _) => false,
        }
    }
}

impl FromSetting for Hosts {
    fn from_setting(text: &str) -> Result<Self, String> {
        let entries = text.split(',').map(|entry| entry_of(entry.trim()));
        entries.collect::<Option<_>>().map(Self).ok_or_else(|| RULE.to_owned())
    }
}

fn entry_of(text: &str) -> Option<Entry> {
    // An address of IPv6 has colons of its own.
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if text.parse::<Ipv6Addr>().is_err() => {
            (host, Some(port.parse().ok().filter(|port| *port > 0)?))
        }
        _ => (text, None),
    };
    let pattern = match host {
        "*" => Pattern::Public,
        _ => match host.strip_prefix("*.") {
            Some(name) => match host_of(name)? {
                Host::Name(name) => Pattern::Below(format!(".{name}")),
                Host::Address(_) => return None,
            },
            None => Pattern::Host(host_of(host)?),
        },
    };
    Some(Entry { pattern, port })
}

/// The host as a URL has it.
fn host_of(text: &str) -> Option<Host> {
    let text = if text.parse::<Ipv6Addr>().is_ok() { format!("[{text}]") } else { text.to_owned() };
    let is_host = |c: char| c.is_alphanumeric() || "._-[:]".contains(c);
    if !text.chars().all(is_host) {
        return None;
    }
    let url = Url::parse(&format!("http://{text}/")).ok()?;
    // A second colon would be a port.
    if url.port().is_some() { None } else { Host::of(&url) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(hosts: &str, url: &str) -> Result<Reach, Refusal> {
        Hosts::from_setting(hosts).unwrap().reach(&Url::parse(url).unwrap())
    }

    #[test]
    fn everybody_may_be_asked_by_a_public_address() {
        for url in ["http://example.com/", "https://1.1.1.1:8443/", "http://[2606:4700:4700::1111]/"] {
            assert_eq!(reach("*", url), Ok(Reach::Public), "{url}");
        }
        for url in [
            "http://127.0.0.1/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://[::ffff:a00:1]/",
            "http://[64:ff9b::a00:1]/",
            "http://0/",
        ] {
            assert_eq!(reach("*", url), Err(Refusal::Private), "{url}");
        }
    }

    #[test]
    fn a_host_that_is_listed_may_have_any_address_on_its_port() {
        let hosts = "api.example.com, *.example.org, 10.0.0.5:8080, [::1]:81, fd00::1, Bücher.example";
        for url in [
            "https://api.example.com/",
            "http://API.example.com.:99/",
            "http://a.example.org/",
            "http://a.b.example.org/",
            "http://10.0.0.5:8080/",
            "http://0xa.5:8080/",
            "http://[::1]:81/",
            "http://[fd00::1]/",
            "http://xn--bcher-kva.example/",
        ] {
            assert_eq!(reach(hosts, url), Ok(Reach::All), "{url}");
        }
        for url in [
            "http://example.com/",
            "http://xapi.example.com/",
            "http://api.example.com.evil.example/",
            "http://example.org/",
            "http://xexample.org/",
            "http://10.0.0.5/",
            "http://[::1]/",
        ] {
            assert_eq!(reach(hosts, url), Err(Refusal::Unlisted), "{url}");
        }
        // On another port it is one of all hosts.
        let hosts = "*:443, 10.0.0.5:8080, db.example";
        assert_eq!(reach(hosts, "https://10.0.0.5/"), Err(Refusal::Private));
        assert_eq!(reach(hosts, "https://example.com/"), Ok(Reach::Public));
        assert_eq!(reach(hosts, "http://example.com/"), Err(Refusal::Unlisted));
        assert_eq!(reach(hosts, "http://db.example:5432/"), Ok(Reach::All));
    }

    #[test]
    fn a_place_is_a_url_of_http_without_a_login() {
        assert_eq!(reach("*", "ftp://example.com/"), Err(Refusal::NoUrl));
        assert_eq!(reach("*", "file:///etc/passwd"), Err(Refusal::NoUrl));
        assert_eq!(reach("*", "http://user@example.com/"), Err(Refusal::Login));
        assert_eq!(reach("*", "http://:word@example.com/"), Err(Refusal::Login));
    }

    #[test]
    fn a_list_with_a_mistake_is_refused() {
        for text in [
            ",",
            "a,,b",
            "http://a",
            "a/b",
            "a:",
            "a:0",
            "a:x",
            "a:70000",
            "*.",
            "*.1.2.3.4",
            "a*",
            "u@a",
            "a b",
            "[::1",
            "a?b",
            "a#b",
            "1.2.3.4.5",
            "[::1]:1:2",
        ] {
            assert_eq!(Hosts::from_setting(text), Err(RULE.to_owned()), "{text}");
        }
    }
}
