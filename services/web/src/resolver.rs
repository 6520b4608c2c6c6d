//! Names become addresses, and private ones are left out.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::{address, refusal::Refusal};

/// Resolves names by the system, to public addresses only. The connection is made to an address
/// that was judged here, so a name that is resolved to another address later gains nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PublicAddresses;

impl Resolve for PublicAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is that of the URL, which the connector puts in.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Addrs = Box::new(public(found)?.into_iter());
            Ok(addresses)
        })
    }
}

/// The public ones among the addresses of a name. Private ones alone are a refusal.
fn public(
    found: impl Iterator<Item = SocketAddr>,
) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    let is_public = |address: &SocketAddr| address::is_public(IpAddr::to_canonical(&address.ip()));
    let (public, private): (Vec<_>, Vec<_>) = found.partition(is_public);
    match (public.is_empty(), private.is_empty()) {
        (false, _) => Ok(public),
        (true, false) => Err(Refusal::Private.into()),
        (true, true) => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_left_out_and_refused_where_there_are_no_others() {
        let socket = |text: &&str| SocketAddr::new(text.parse().unwrap(), 0);
        let found = |texts: &[&str]| public(texts.iter().map(socket));
        let both = found(&["10.0.0.1", "1.1.1.1", "::1"]).unwrap();
        assert_eq!(both, [socket(&"1.1.1.1")]);
        let private = found(&["::ffff:10.0.0.1", "fe80::1"]).unwrap_err();
        assert_eq!(private.downcast_ref(), Some(&Refusal::Private));
        assert!(found(&[]).unwrap_err().downcast_ref::<io::Error>().is_some());
    }
}
