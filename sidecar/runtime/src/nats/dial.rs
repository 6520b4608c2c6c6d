//! A new connection: the best server that answers and takes the login.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{
    client::Client,
    ended::Ended,
    frame::{self, Frame, NotNats},
    info::Info,
    way::{Opened, Stream},
};

/// The longest time that all servers together may take to let us in at one attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection to a server that has taken the login.
pub(super) struct Dialed {
    pub stream: Stream,
    /// Bytes that came behind its welcome.
    pub input: BytesMut,
    pub address: String,
    /// Orders to end it, since before the server was asked.
    pub cuts: watch::Receiver<u64>,
}

impl Client {
    /// Connects to the best server that lets us in. Why none does, [`super::said::Said`] knows.
    pub(super) async fn dial(&self) -> Option<Dialed> {
        let until = Instant::now() + CONNECT_TIMEOUT;
        for address in self.servers().in_order() {
            match timeout_at(until, self.enter(&address)).await {
                Ok(Ok(dialed)) => {
                    self.servers().joined(&address);
                    self.servers().accepted(&address);
                    self.said().accepted();
                    return Some(dialed);
                }
                Ok(Err(ended)) => self.failed(&address, &ended),
                Err(_) => {
                    let silent = io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
                    self.failed(&address, &silent.into());
                    return None;
                }
            }
        }
        None
    }

    /// The server could not be reached, or has ended the connection.
    pub(super) fn failed(&self, address: &str, why: &Ended) {
        self.servers().failed(address);
        self.said().away(format!("{address} not reachable: {why}"));
        if why.is_lasting() {
            self.said().no_way(why.to_string());
        }
    }

    /// Hears the words of a server about itself.
    pub(super) fn inform(&self, text: &Bytes, address: &str) -> Result<(), NotNats> {
        let info: Info = serde_json::from_slice(text).map_err(|_| NotNats)?;
        if info.max_payload > 0 {
            self.takes(info.max_payload);
        }
        self.servers().learn(info.connect_urls, address);
        if info.lame {
            self.leave(address);
        }
        Ok(())
    }

    /// The server is about to stop.
    fn leave(&self, address: &str) {
        self.servers().stops(address);
        let elsewhere = self.servers().in_order().first().is_some_and(|best| best != address);
        if elsewhere {
            self.cut(&format!("the server {address} is about to stop, and there is another"));
        } else {
            tracing::warn!("the NATS server {address} is about to stop, and no other is known (NATS_URL)");
        }
    }

    async fn enter(&self, address: &str) -> Result<Dialed, Ended> {
        let cuts = self.cuts();
        let Opened { mut stream, mut input, login, .. } = self.open(address).await?;
        // The answer to a ping comes behind the answer to a login.
        let words = self.hello().line(&login) + "PING\r\n";
        match &mut stream {
            Stream::Plain(stream) => stream.write_all(words.as_bytes()).await?,
            Stream::Tls(stream) => {
                stream.write_all(words.as_bytes()).await?;
                stream.flush().await?;
            }
        }
        loop {
            while let Some(word) = frame::next(&mut input)? {
                match word {
                    Frame::Info(text) => self.inform(&text, address)?,
                    Frame::Pong => {
                        return Ok(Dialed { stream, input, address: address.to_owned(), cuts });
                    }
                    Frame::No(text) => self.said().no(&text),
                    Frame::Ping | Frame::Taken => {}
                    // Nothing was subscribed to.
                    Frame::Message { .. } => return Err(NotNats.into()),
                }
            }
            let read = match &mut stream {
                Stream::Plain(stream) => stream.read_buf(&mut input).await?,
                Stream::Tls(stream) => stream.read_buf(&mut input).await?,
            };
            if read == 0 {
                let ended = "it ends the connection when it hears the login";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, ended).into());
            }
        }
    }
}
