//! The open connection to a server, and the next one when it is lost.

use std::{
    io,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    CHECK, RECONNECT_MOST,
    again::{Again, Whose},
    client::Client,
    dial::Dialed,
    ended::Ended,
    frame::{self, Frame},
    subscriptions::Delivery,
    way::Stream,
};
use crate::{backoff::jittered, failpoint, health::Health};

/// A dead connection is noticed after two pings without an answer, so after about three intervals.
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// Pings without an answer on a connection that is not given up yet.
const PINGS: u32 = 2;
/// Bytes read at a time.
const READ: usize = 64 * 1024;
/// Less room than this is not read into: a read costs a call of the system.
const LEAST_READ: usize = 16 * 1024;
/// The longest wait for the last words of a server that takes no more.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// A connection that was there for longer is not one that a server ends at once.
const LASTING: Duration = Duration::from_secs(4);
/// The longest wait for a server that has our last byte to close.
const GOODBYE: Duration = Duration::from_millis(200);
/// The longest time for the end of a connection.
const SHUTDOWN: Duration = Duration::from_secs(3);

/// Those who are told of a connection that comes and goes.
pub(super) struct Observers {
    pub health: Health,
    pub again: Again,
    /// The settings of the login, for messages.
    pub keys: &'static str,
}

/// Keeps a connection until the client is closed.
pub(super) async fn keep(client: Client, first: Dialed, observers: Observers) {
    // Also if this panics: a client that is closed is told apart from one that is silent.
    let _closed = OnDrop(&client);
    let (mut next, mut attempt) = (Some(first), 0);
    while let Some(dialed) = next {
        let (address, since) = (dialed.address.clone(), Instant::now());
        let ended = carry(&client, dialed, &observers).await;
        client.parted();
        client.servers().left(&address);
        match ended {
            Ok(Over::Closed) => break,
            Ok(Over::Cut) => {}
            Err(ended) => client.failed(&address, &ended),
        }
        client.counts().disconnects.inc();
        observers.health.fail(CHECK, client.said().why_away(observers.keys));
        // A server that takes the login and ends the connection at once is not asked all the time.
        attempt = if since.elapsed() > LASTING { 0 } else { attempt + 1 };
        next = redial(&client, &observers, &mut attempt).await;
    }
}

/// Closes the client.
struct OnDrop<'c>(&'c Client);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.over();
    }
}

/// The end of a connection that is nobody's fault.
enum Over {
    /// The client is closed, and all is written.
    Closed,
    /// An order has ended it.
    Cut,
}

/// Connects again, for as long as it takes. `None` if the client is closed meanwhile.
async fn redial(client: &Client, observers: &Observers, attempt: &mut u32) -> Option<Dialed> {
    loop {
        let dialing = async {
            sleep(pause(*attempt)).await;
            client.dial().await
        };
        let dialed = tokio::select! {
            dialed = dialing => dialed,
            () = client.out().closed() => return None,
        };
        if dialed.is_some() {
            return dialed;
        }
        observers.health.fail(CHECK, client.said().why_away(observers.keys));
        *attempt = attempt.saturating_add(1);
    }
}

/// The pause before the n-th attempt in a row.
fn pause(attempt: u32) -> Duration {
    jittered(Duration::from_millis(20).saturating_mul(1 << attempt.min(10)).min(RECONNECT_MOST))
}

/// Carries in both directions until one of both sides, or an order, ends it.
async fn carry(client: &Client, dialed: Dialed, observers: &Observers) -> Result<Over, Ended> {
    let Dialed { stream, input, address, cuts } = dialed;
    match stream {
        Stream::Plain(stream) => {
            let (from, to) = stream.into_split();
            both_ways(client, from, to, Came { input, address: &address, cuts }, observers).await
        }
        Stream::Tls(stream) => {
            let (from, to) = tokio::io::split(*stream);
            both_ways(client, from, to, Came { input, address: &address, cuts }, observers).await
        }
    }
}

/// The rest of a new connection.
struct Came<'a> {
    input: BytesMut,
    address: &'a str,
    cuts: watch::Receiver<u64>,
}

async fn both_ways(
    client: &Client,
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    came: Came<'_>,
    observers: &Observers,
) -> Result<Over, Ended> {
    let Came { input, address, mut cuts } = came;
    let pings = AtomicU32::new(0);
    let first = client.joined();
    observers.health.ok(CHECK);
    observers.again.tell(Whose::All);
    let reading = read(client, from, input, address, &pings);
    tokio::pin!(reading);
    tokio::select! {
        written = write(client, to, first) => match written {
            Ok(()) => {
                // It closes when it has read all. If we went before, what it says meanwhile would
                // have the system throw our last bytes away.
                let _ = timeout(GOODBYE, reading).await;
                Ok(Over::Closed)
            }
            // The server takes no more. Its last words may say why.
            Err(error) => match timeout(LAST_WORDS, reading).await {
                Ok(ended) => Err(ended),
                Err(_) => Err(error.into()),
            },
        },
        ended = &mut reading => Err(ended),
        () = ping(client, &pings) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, "it answers no ping").into())
        }
        _ = cuts.changed() => Ok(Over::Cut),
    }
}

/// Writes all that is put out, until the client is closed.
async fn write(client: &Client, mut to: impl AsyncWrite + Unpin, first: Vec<u8>) -> io::Result<()> {
    let mut taken = first;
    loop {
        if !taken.is_empty() {
            to.write_all(&taken).await?;
            // TLS holds bytes back that the socket did not take.
            to.flush().await?;
        }
        if !client.out().take(&mut taken).await {
            // It says goodbye, and the bytes before it are on their way.
            let _ = timeout(SHUTDOWN, to.shutdown()).await;
            return Ok(());
        }
    }
}

/// Reads until the connection ends, and tells why.
async fn read(
    client: &Client,
    mut from: impl AsyncRead + Unpin,
    mut input: BytesMut,
    address: &str,
    pings: &AtomicU32,
) -> Ended {
    loop {
        let heard = client.subscriptions().deliver(|delivery| {
            while let Some(word) = frame::next(&mut input)? {
                hear(client, word, delivery, address)?;
            }
            Ok::<_, Ended>(())
        });
        if let Err(ended) = heard {
            return ended;
        }
        let room = input.capacity() - input.len();
        // A large message has its room already.
        if room == 0 || (room < LEAST_READ && input.len() < READ) {
            input.reserve(READ);
        }
        match from.read_buf(&mut input).await {
            Ok(0) => {
                return io::Error::new(io::ErrorKind::UnexpectedEof, "it ended the connection").into();
            }
            // The server is there: behind a flood its answer to a ping takes its time.
            Ok(_) => pings.store(0, Ordering::Relaxed),
            Err(error) => return error.into(),
        }
    }
}

fn hear(client: &Client, word: Frame, delivery: &mut Delivery<'_>, address: &str) -> Result<(), Ended> {
    match word {
        Frame::Message { subscription, message, flaw } => {
            if let Some(reason) = flaw {
                client.counts().unreadable.inc();
                client.said().unreadable(message.subject(), reason);
            }
            if let Err(full) = delivery.put(subscription, message) {
                client.counts().slow_consumer.inc();
                if full.is_first {
                    tracing::warn!(
                        nats.subject = full.subject,
                        "messages are dropped before they could be read: too many wait"
                    );
                }
            }
        }
        Frame::Ping => client.out().put(|out| out.extend_from_slice(b"PONG\r\n")),
        Frame::Info(text) => client.inform(&text, address)?,
        Frame::No(text) => client.said().no(&text),
        Frame::Pong | Frame::Taken => {}
    }
    Ok(())
}

/// Pings, until too many have no answer.
async fn ping(client: &Client, pings: &AtomicU32) {
    // A test with a slow line makes it longer: pings stand behind the answers there.
    let ms = failpoint::number("nats.ping_ms").map(|ms| Duration::from_millis(ms.unsigned_abs()));
    let mut ticks = interval(ms.unwrap_or(PING_INTERVAL));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        if pings.fetch_add(1, Ordering::Relaxed) >= PINGS {
            return;
        }
        client.out().put(|out| out.extend_from_slice(b"PING\r\n"));
    }
}

#[cfg(test)]
mod tests;
