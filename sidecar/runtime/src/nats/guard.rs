//! The way to the server: a piece of TCP of our own between the client library and NATS.
//!
//! The library connects to a port of this process on loopback, and the stream of the server passes
//! the [filter](super::filter) first. So a message that the library cannot parse costs nobody
//! anything, and the words of the server are known exactly ([`Said`]). Of several servers the best
//! of the [`Roster`] is taken: the one that failed least, none that is about to stop.
//!
//! One connection of the client is one connection to a server.

mod pump;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use prometheus_client::metrics::counter::Counter;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

use super::{
    ended::Ended,
    filter::{Heard, NotNats},
    info::Info,
    peer::is_ours,
    roster::Roster,
    said::Said,
    way::{Opened, Stream, Way},
};

/// The longest time that all servers together may take to let us in at one attempt of the client.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest wait for the last words of a server that takes no more.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The way to the server. All clones are the same.
#[derive(Clone)]
pub struct Guard(Arc<Shared>);

/// A connection of the client, and the server's side of it.
struct Between<'a> {
    client: TcpStream,
    /// The first words of the server.
    input: BytesMut,
    login: &'a [(&'static str, String)],
    address: &'a str,
}

struct Shared {
    /// The address that the client library connects to.
    address: SocketAddr,
    servers: Roster,
    way: Way,
    said: Said,
    unreadable: Counter,
    /// Counts the orders to end the open connection.
    cuts: watch::Sender<u64>,
    /// Connections that carry something.
    open: watch::Sender<usize>,
}

impl Guard {
    /// Opens the port for the client library.
    pub(super) async fn start(
        urls: &[String],
        way: Way,
        said: Said,
        unreadable: Counter,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let guard = Self(Arc::new(Shared {
            address: listener.local_addr()?,
            servers: Roster::new(urls),
            way,
            said,
            unreadable,
            cuts: watch::Sender::new(0),
            open: watch::Sender::new(0),
        }));
        tokio::spawn(guard.clone().accept(listener));
        Ok(guard)
    }

    /// The URL that the client library connects to.
    pub fn url(&self) -> String {
        format!("nats://{}", self.0.address)
    }

    /// The server that the connection leads to.
    pub fn server(&self) -> Option<String> {
        self.0.servers.current()
    }

    /// Ends the connection. The client makes another, and requests under way are sent again.
    pub fn cut(&self, why: &str) {
        tracing::info!("reconnecting to NATS: {why}");
        self.0.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Waits until the server has all that the closed client has written.
    pub async fn drained(&self) {
        let _ = self.0.open.subscribe().wait_for(|open| *open == 0).await;
    }

    async fn accept(self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                // Nobody else of this host comes to the server through us.
                Ok((client, peer)) if is_ours(peer, self.0.address) => {
                    self.0.open.send_modify(|open| *open += 1);
                    tokio::spawn(self.clone().carry(client));
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!("the NATS client cannot connect to its guard: {error}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    /// Another connection to a server.
    pub(super) async fn open(&self, address: &str) -> Result<Opened, Ended> {
        self.0.way.open(address, &self.0.servers.name(address)).await
    }

    async fn carry(self, client: TcpStream) {
        // Before the server is asked: an order that comes meanwhile counts.
        let mut cuts = self.0.cuts.subscribe();
        if let Some((server, address)) = self.connect().await {
            let _ = client.set_nodelay(true);
            let Opened { stream, input, login, .. } = server;
            let between = Between { client, input, login: &login, address: &address };
            match stream {
                Stream::Plain(server) => {
                    let (from, to) = server.into_split();
                    self.pump(from, to, between, &mut cuts).await;
                }
                Stream::Tls(server) => {
                    let (from, to) = tokio::io::split(*server);
                    self.pump(from, to, between, &mut cuts).await;
                }
            }
            self.0.servers.left(&address);
        }
        self.0.open.send_modify(|open| *open -= 1);
    }

    /// Carries in both directions, until one of both sides or an order ends it.
    async fn pump(
        &self,
        from_server: impl AsyncRead + Unpin,
        to_server: impl AsyncWrite + Unpin,
        between: Between<'_>,
        cuts: &mut watch::Receiver<u64>,
    ) {
        let (from_client, to_client) = between.client.into_split();
        let address = between.address;
        let down = async {
            let hear = |news| self.hear(address, news);
            match pump::down(from_server, between.input, to_client, hear).await {
                Ok(()) => {}
                Err(ended) => self.failed(address, &ended),
            }
        };
        tokio::pin!(down);
        tokio::select! {
            up = pump::up(from_client, to_server, between.login) => {
                // The server takes no more. Its last words may say why.
                if up.is_err() {
                    let _ = timeout(LAST_WORDS, down).await;
                }
            }
            () = &mut down => {}
            _ = cuts.changed() => {}
        }
    }

    /// A connection to the best server that answers.
    async fn connect(&self) -> Option<(Opened, String)> {
        let until = Instant::now() + CONNECT_TIMEOUT;
        for address in self.0.servers.in_order() {
            match timeout_at(until, self.open(&address)).await {
                Ok(Ok(opened)) => {
                    self.0.servers.joined(&address);
                    return Some((opened, address));
                }
                Ok(Err(ended)) => self.failed(&address, &ended),
                Err(_) => {
                    let silent = std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time");
                    self.failed(&address, &silent.into());
                    return None;
                }
            }
        }
        None
    }

    fn hear(&self, address: &str, heard: Heard) -> Result<(), Ended> {
        match heard {
            Heard::Info(text) => {
                let info: Info = serde_json::from_slice(&text).map_err(|_| NotNats)?;
                self.0.servers.learn(info.connect_urls, address);
                if info.lame {
                    self.leave(address);
                }
            }
            Heard::Accepted => {
                self.0.servers.accepted(address);
                self.0.said.accepted();
            }
            Heard::No(text) => self.0.said.no(&text),
            Heard::Unreadable { subject, reason } => {
                self.0.unreadable.inc();
                self.0.said.unreadable(&subject, reason);
            }
        }
        Ok(())
    }

    fn failed(&self, address: &str, why: &Ended) {
        self.0.servers.failed(address);
        self.0.said.away(format!("{address} not reachable: {why}"));
        if why.is_lasting() {
            self.0.said.no_way(why.to_string());
        }
    }

    /// The server is about to stop.
    fn leave(&self, address: &str) {
        self.0.servers.stops(address);
        let elsewhere = self.0.servers.in_order().first().is_some_and(|best| best != address);
        if elsewhere {
            self.cut(&format!("the server {address} is about to stop, and there is another"));
        } else {
            tracing::warn!("the NATS server {address} is about to stop, and no other is known (NATS_URL)");
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tpro_wire::random::Random;

    use super::*;
    use crate::config::Config;

    const MESSAGES: u64 = 5_000;

    /// Some of these, fewer than `most`, one behind the other.
    fn some(random: &mut Random, from: &[&[u8]], most: u64) -> Vec<u8> {
        (0..random.below(most)).filter_map(|_| random.pick(from)).flat_map(|piece| piece.to_vec()).collect()
    }

    /// Pieces of headers, among them all that the client library looks at.
    const PIECES: [&[u8]; 20] = [
        b"NATS/1.0",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b":",
        b"A",
        b"Name: value\r\n",
        b"503",
        b"5",
        b"\xff",
        b"\xc3",
        b"\xc3\xa9",
        b"\xc2\xa0",
        b"\xe2\x80\x83",
        b"\x00",
        b"\x0b",
        b"\x7f",
        b"\r\n\r\n",
    ];
    /// Bytes that a server lets through in a subject.
    const LETTERS: [&[u8]; 9] =
        [b"a", b".", b"\xff", b"\xc3", b"\xc3\xa9", b"\xc2\xa0", b"\xc2\x85", b"\x0b", b"\x00"];

    fn message(random: &mut Random) -> Vec<u8> {
        let subject = [b"tpro.", &some(random, &LETTERS, 5)[..]].concat();
        let reply = match random.below(3) {
            0 => [b" r", &some(random, &LETTERS, 5)[..]].concat(),
            _ => Vec::new(),
        };
        let payload = some(random, &PIECES, 4);
        if random.below(4) == 0 {
            let numbers = format!(" {}\r\n", payload.len());
            return [b"MSG ", &subject[..], b" 1", &reply, numbers.as_bytes(), &payload, b"\r\n"].concat();
        }
        let mut block = if random.below(5) > 0 { b"NATS/1.0".to_vec() } else { Vec::new() };
        block.extend(some(random, &PIECES, 12));
        if random.below(5) > 0 {
            block.extend_from_slice(b"\r\n\r\n");
        }
        let numbers = format!(" {} {}\r\n", block.len(), block.len() + payload.len());
        [b"HMSG ", &subject[..], b" 1", &reply, numbers.as_bytes(), &block, &payload, b"\r\n"].concat()
    }

    /// A server that sends this text to the one subscription it is asked for.
    async fn babble(listener: TcpListener) -> std::io::Result<()> {
        let (mut stream, _) = listener.accept().await?;
        stream.write_all(b"INFO {\"server_id\":\"x\",\"max_payload\":1048576,\"headers\":true}\r\n").await?;
        let mut input = BytesMut::new();
        let waited =
            |word: &'static [u8], input: &BytesMut| input.windows(word.len()).any(|part| part == word);
        for (word, answer) in [(&b"PING"[..], &b"PONG\r\n"[..]), (b"SUB ", b"")] {
            while !waited(word, &input) {
                stream.read_buf(&mut input).await?;
            }
            stream.write_all(answer).await?;
        }
        let mut random = Random::new(7);
        for _ in 0..MESSAGES {
            stream.write_all(&message(&mut random)).await?;
        }
        stream.write_all(b"MSG end 1 0\r\n\r\n").await?;
        std::future::pending().await
    }

    #[tokio::test]
    async fn the_client_library_reads_whatever_has_passed_the_guard() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("nats://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(babble(listener));
        let unreadable = Counter::default();
        let guard = {
            let way = Way::of(&Config::sample(&[]));
            Guard::start(&[url], way, Said::default(), unreadable.clone()).await.unwrap()
        };
        let client = async_nats::connect(guard.url()).await.unwrap();
        let mut messages = client.subscribe("tpro.>").await.unwrap();
        let mut count = 0;
        while messages.next().await.expect("the client goes on").subject.as_str() != "end" {
            count += 1;
        }
        assert_eq!(count, MESSAGES);
        let unreadable = unreadable.get();
        assert!(unreadable > MESSAGES / 4 && unreadable < MESSAGES, "{unreadable} of {MESSAGES}");
        assert_eq!(client.statistics().connects.load(std::sync::atomic::Ordering::Relaxed), 1);
        server.abort();
    }
}
