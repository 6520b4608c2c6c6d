//! The host that a URL names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

/// The host that a URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// A name, in small letters and without a point at its end.
    Name(String),
    /// An address. All spellings of an address of IPv4 (`0x7f.1`, `2130706433`) are one to the
    /// parser of URLs.
    Address(IpAddr),
}

impl Host {
    /// The host of a URL; none if it has none.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        let text = url.host_str()?;
        if let Some(inner) = text.strip_prefix('[') {
            return Some(Self::Address(inner.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?.into()));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Some(Self::Address(address.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        (!name.is_empty()).then(|| Self::Name(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_address_is_one() {
        let of = |host: &str| Host::of(&Url::parse(&format!("http://{host}/")).unwrap());
        let loopback = Some(Host::Address(Ipv4Addr::LOCALHOST.into()));
        for text in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "017700000001",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "①②⑦.0.0.1",
        ] {
            assert_eq!(of(text), loopback, "{text}");
        }
        assert_eq!(of("[0:0:0:0:0:0:0:1]"), Some(Host::Address(Ipv6Addr::LOCALHOST.into())));
        assert_eq!(of("Api.Example.COM."), Some(Host::Name("api.example.com".into())));
        assert_eq!(of("1.2.3.4.example"), Some(Host::Name("1.2.3.4.example".into())));
    }
}
