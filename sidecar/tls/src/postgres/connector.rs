//! The part of the driver that makes TLS.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use ring::digest::{self, Algorithm};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{
    Socket,
    tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream},
};

use crate::{der, failure::Failure, settings::Settings, stream::Stream};

/// The name of the protocol, for a server that is spoken to in TLS at once
/// (`sslnegotiation=direct`).
const PROTOCOL: &[u8] = b"postgresql";

/// Makes a [`Connector`] for each connection.
#[derive(Clone)]
pub struct Maker(pub Arc<Settings>);

impl MakeTlsConnect<Socket> for Maker {
    type Stream = Stream<Socket>;
    type TlsConnect = Connector;
    type Error = Failure;

    fn make_tls_connect(&mut self, host: &str) -> Result<Connector, Failure> {
        Ok(Connector { settings: self.0.clone(), host: host.to_owned() })
    }
}

/// Makes TLS over one connection.
pub struct Connector {
    settings: Arc<Settings>,
    host: String,
}

impl TlsConnect<Socket> for Connector {
    type Stream = Stream<Socket>;
    type Error = Failure;
    type Future = BoxFuture<'static, Result<Stream<Socket>, Failure>>;

    fn connect(self, stream: Socket) -> Self::Future {
        Box::pin(async move { self.settings.handshake(&self.host, Some(PROTOCOL), stream).await })
    }
}

/// The login is bound to this very connection, where the server offers it: nobody between can use
/// the password's proof for a connection of his own.
impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Stream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        let Some(certificate) = self.certificate() else { return ChannelBinding::none() };
        match der::signature_algorithm(certificate).and_then(digest_for) {
            Some(hash) => {
                ChannelBinding::tls_server_end_point(digest::digest(hash, certificate).as_ref().to_vec())
            }
            None => ChannelBinding::none(),
        }
    }
}

/// The digest by which both sides name a certificate (RFC 5929): that of its signature, and SHA-256
/// in the place of an older one. None where PostgreSQL knows none either.
fn digest_for(algorithm: &[u8]) -> Option<&'static Algorithm> {
    // RSA in PKCS #1: 1.2.840.113549.1.1.n. ECDSA with SHA-2: 1.2.840.10045.4.3.n.
    let (rsa, ecdsa) = ([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1], [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3]);
    if let Some(rest) = algorithm.strip_prefix(&rsa) {
        return match rest {
            [4 | 5 | 11] => Some(&digest::SHA256),
            [12] => Some(&digest::SHA384),
            [13] => Some(&digest::SHA512),
            _ => None,
        };
    }
    match algorithm.strip_prefix(&ecdsa) {
        Some([2]) => Some(&digest::SHA256),
        Some([3]) => Some(&digest::SHA384),
        Some([4]) => Some(&digest::SHA512),
        _ => None,
    }
}
