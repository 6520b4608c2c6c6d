//! The way to one server: TCP, its first words, TLS where the settings or the server want it, and
//! the signature of a login.
//!
//! A server speaks first, without TLS, and says if it wants it. Nothing of these words is believed
//! beyond that: with TLS in the settings a server that has none is not spoken to, and words that
//! came before TLS are not taken for words within it.

use std::{
    io::{Error, ErrorKind},
    sync::Arc,
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    net::TcpStream,
};
use tpro_tls::Settings;

use super::{
    ended::Ended,
    frame::{LINE_MAX, NotNats, line_end},
    info::Info,
};
use crate::config::{Config, NatsLogin};

/// The settings of the way.
pub(super) struct Way {
    tls_required: bool,
    tls: Arc<Settings>,
    login: NatsLogin,
}

/// A connection to a server that has said its first words.
pub(super) struct Opened {
    pub stream: Stream,
    /// All that was read: the first words, and those behind them.
    pub input: BytesMut,
    pub info: Info,
    /// The fields of a login that is signed.
    pub login: Vec<(&'static str, String)>,
}

/// The stream to a server. Each kind is carried by code of its own, so that a connection without
/// TLS pays nothing for those with it.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<tpro_tls::Stream<TcpStream>>),
}

impl Way {
    /// The way that is configured.
    pub fn of(config: &Config) -> Self {
        Self {
            tls_required: config.nats_tls.required,
            tls: config.nats_tls.settings.clone(),
            login: config.nats_login.clone(),
        }
    }

    /// Connects to a server. Its certificate must be for this name.
    pub async fn open(&self, address: &str, name: &str) -> Result<Opened, Ended> {
        let mut tcp = TcpStream::connect(address).await?;
        let _ = tcp.set_nodelay(true);
        let mut input = BytesMut::new();
        let (info, length) = first_words(&mut tcp, &mut input).await?;
        let stream = if !self.tls_required && !info.tls_required {
            Stream::Plain(tcp)
        } else if !info.tls_required && !info.tls_available {
            return Err(Ended::NoTls);
        } else if input.len() > length {
            return Err(NotNats.into());
        } else {
            Stream::Tls(Box::new(self.tls.handshake(name, None, tcp).await?))
        };
        let login = match self.login.signer()? {
            Some(_) if info.nonce.is_empty() => return Err(Ended::NoNonce(self.login.keys())),
            Some(signer) => signer.fields(&info.nonce).into(),
            None => Vec::new(),
        };
        Ok(Opened { stream, input, info, login })
    }
}

/// Reads the first words, and their length with their end.
async fn first_words(
    stream: &mut (impl AsyncRead + Unpin),
    input: &mut BytesMut,
) -> Result<(Info, usize), Ended> {
    loop {
        if let Some(end) = line_end(input) {
            let text = input.get(..end).and_then(|line| line.strip_prefix(b"INFO ")).ok_or(NotNats)?;
            let info = serde_json::from_slice(text).map_err(|_| NotNats)?;
            return Ok((info, end + 2));
        }
        if input.len() > LINE_MAX {
            return Err(NotNats.into());
        }
        if stream.read_buf(input).await? == 0 {
            return Err(Error::new(ErrorKind::UnexpectedEof, "it ends the connection at once").into());
        }
    }
}
