//! A second connection, made every few seconds, which learns news that the open one is not told.
//!
//! A server that is given another `max_payload` tells nobody who is connected: it takes larger
//! messages, or ends the connection at one that is too large. A server that would allow by now a
//! subscription that it has refused says so only when it is asked again.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    Client,
    frame::{self, Frame},
    said::Subscription,
    way::{Opened, Stream},
};
use crate::{
    backoff::{Backoff, jittered},
    config::Config,
    health::Health,
    random,
};

/// The pause between two looks while a check fails, which the news may end.
const INTERVAL: Duration = Duration::from_secs(3);
/// The pause between two looks of a copy that is ready.
const WHILE_READY: Duration = Duration::from_secs(15);
/// The longest time for a look.
const LIMIT: Duration = Duration::from_secs(2);

/// The result of a look.
struct Seen {
    max_payload: usize,
    /// All of the subscriptions that it asked for are allowed.
    allowed: bool,
}

/// Looks until the process is told to stop.
pub async fn run(client: Client, config: Arc<Config>, health: Health, stop: CancellationToken) {
    // A subscription that is allowed here and refused again on the open connection is not asked for
    // all the time.
    let mut patience = Backoff::new(INTERVAL, Duration::from_secs(60));
    let mut next = tokio::time::Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = pause(&health) => {}
        }
        let Some(server) = client.server().filter(|_| client.is_connected()) else { continue };
        let refused = client.said().refused_subscriptions();
        // A look that fails is repeated. Other checks say that the server is away.
        let Ok(Some(seen)) = timeout(LIMIT, look(&config, &client, &server, &refused)).await else {
            continue;
        };
        let ours = client.max_payload();
        if seen.max_payload != ours {
            client.cut(&format!("max_payload of the server is {} now, and was {ours}", seen.max_payload));
        } else if refused.is_empty() {
            patience.reset();
        } else if seen.allowed && tokio::time::Instant::now() >= next {
            next = tokio::time::Instant::now() + patience.next_pause();
            client.cut("the server allows by now what it has refused");
        }
    }
}

async fn pause(health: &Health) {
    tokio::time::sleep(jittered(INTERVAL)).await;
    let _ = timeout(WHILE_READY - INTERVAL, health.failure()).await;
}

async fn look(config: &Config, client: &Client, server: &str, refused: &[Subscription]) -> Option<Seen> {
    let Opened { stream, info, login, .. } = client.open(server).await.ok()?;
    let questions = client.hello().asking().line(&login) + &questions(config, refused);
    let allowed = match stream {
        _ if refused.is_empty() => true,
        Stream::Plain(stream) => ask(stream, &questions).await?,
        Stream::Tls(stream) => ask(*stream, &questions).await?,
    };
    Some(Seen { max_payload: info.max_payload, allowed })
}

/// True if no answer is a refusal.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, questions: &str) -> Option<bool> {
    let mut input = BytesMut::new();
    stream.write_all(questions.as_bytes()).await.ok()?;
    stream.flush().await.ok()?;
    let mut allowed = true;
    loop {
        while let Some(word) = frame::next(&mut input).ok()? {
            match word {
                Frame::Pong => return Some(allowed),
                Frame::No(_) => allowed = false,
                _ => {}
            }
        }
        if stream.read_buf(&mut input).await.ok()? == 0 {
            return None;
        }
    }
}

/// The refused subscriptions, and a ping. The answer to the ping comes after the answers to all
/// before it.
fn questions(config: &Config, refused: &[Subscription]) -> String {
    let mut text = String::new();
    let (ours, group) = (format!("{}.{}.>", config.space, config.service), config.service.queue_group());
    for (number, (subject, queue)) in refused.iter().enumerate() {
        // When the server takes a right away, it does not name the queue group. Without our group
        // the question would be another one.
        let queue = queue.as_ref().or_else(|| (*subject == ours).then_some(&group));
        // A subject that the refused one stands for, to which nobody publishes: in a queue group it
        // would take a message otherwise.
        let nowhere = format!("{:016x}", random::next_u64());
        let subject = subject.replace(['*', '>'], &nowhere);
        let queue = queue.map(String::as_str).unwrap_or_default();
        text.push_str(&format!("SUB {subject} {queue} {}\r\n", number + 1));
    }
    text + "PING\r\n"
}
