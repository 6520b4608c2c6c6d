//! The handshake with a server.

use std::{io, sync::Arc, time::Duration};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::{client, failure::Failure, peer::Peer, problem::Problem, settings::Settings, stream::Stream};

/// The longest time for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);

impl Settings {
    /// Reads all files, as each connection does.
    pub fn check(&self) -> Result<(), Problem> {
        client::config(self).map(drop)
    }

    /// TLS over this stream to the server of this name. `protocol` is told to servers that listen
    /// for several (ALPN).
    pub async fn handshake<S>(
        &self,
        host: &str,
        protocol: Option<&[u8]>,
        stream: S,
    ) -> Result<Stream<S>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let peer = Peer::new(self, host);
        let mut config = client::config(self)?;
        config.alpn_protocols = protocol.map(<[u8]>::to_vec).into_iter().collect();
        let name = ServerName::try_from(host.to_owned()).map_err(|_| peer.has_no_name())?;
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let connected = timeout(HANDSHAKE, connecting).await.unwrap_or_else(|_| {
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("it took more than {} s", HANDSHAKE.as_secs()),
            ))
        });
        connected.map_err(|error| peer.failure(&error)).map(|inner| Stream::new(inner, peer))
    }
}
