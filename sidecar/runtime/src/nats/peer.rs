//! The owner of a connection to a port of ours.

use std::{
    net::{IpAddr, SocketAddr},
    os::unix::fs::MetadataExt as _,
};

/// True unless another user of this host has made this connection over loopback. Linux tells the
/// user. Where nothing is told, the connection is taken for ours.
pub(super) fn is_ours(peer: SocketAddr, local: SocketAddr) -> bool {
    let Ok(own) = std::fs::metadata("/proc/self").map(|folder| folder.uid()) else { return true };
    let Ok(table) = std::fs::read_to_string("/proc/self/net/tcp") else { return true };
    let (Some(peer), Some(local)) = (written(peer), written(local)) else { return false };
    let owner = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let mut owner = owner.filter(|words| words.len() > 7 && words[1] == peer && words[2] == local);
    owner.next().is_some_and(|words| words[7].parse() == Ok(own))
}

/// An address as `/proc/net/tcp` writes it: the number of the address in the host's byte order.
fn written(address: SocketAddr) -> Option<String> {
    match address.ip() {
        IpAddr::V4(ip) => Some(format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), address.port())),
        IpAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn our_own_connection_is_ours() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let local = listener.local_addr().unwrap();
        let client = TcpStream::connect(local).unwrap();
        assert!(is_ours(client.local_addr().unwrap(), local));
        let other: SocketAddr = "127.0.0.1:1".parse().unwrap();
        assert!(!is_ours(other, local), "a connection that is not there is nobody's");
    }
}
