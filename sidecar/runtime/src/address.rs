//! The address of a server, as a setting or another server writes it.

use std::fmt;

/// The port of NATS where none is written.
const PORT: u16 = 4222;

/// Host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// A name or an IP address; one of IPv6 without its brackets.
    pub host: String,
    pub port: u16,
}

impl Address {
    /// Reads `host`, `host:port` or `[IPv6]:port`, with or without a scheme before it.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.split_once("://").map_or(text, |(_, rest)| rest);
        let text = text.strip_suffix('/').unwrap_or(text);
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                (host, port.strip_prefix(':').or_else(|| port.is_empty().then_some("")))
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port).filter(|port| !port.is_empty())),
                None => (text, Some("")),
            },
        };
        let port = match port? {
            "" => PORT,
            // `parse` alone would take a plus sign.
            port if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok()?,
            _ => return None,
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        let good = !host.is_empty() && host.bytes().all(is_name) && port > 0;
        good.then(|| Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_and_without_its_parts() {
        for (text, read) in [
            ("nats.example", "nats.example:4222"),
            ("nats://nats.example/", "nats.example:4222"),
            ("tls://10.0.0.1:4223", "10.0.0.1:4223"),
            ("[::1]", "[::1]:4222"),
            ("nats://[::1]:5", "[::1]:5"),
        ] {
            assert_eq!(Address::parse(text).expect(text).to_string(), read);
        }
    }

    #[test]
    fn what_is_no_address_is_not_read() {
        for text in ["", "nats://", ":4222", "a:", "a:x", "a:+1", "a:0", "a:65536", "::1", "[a]:1", "[::1]x"]
        {
            assert_eq!(Address::parse(text), None, "{text}");
        }
        for text in ["a b", "user:secret@a", "a/b", "a:1/b", "a:1?b"] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }
}
