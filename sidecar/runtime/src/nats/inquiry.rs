//! A second connection, made every few seconds, which learns news that the open one is not told.
//!
//! A server that is given another `max_payload` tells nobody who is connected: it takes larger
//! messages, or ends the connection at one that is too large. A server that would allow by now a
//! subscription that it has refused says so only when it is asked again.

use std::{sync::Arc, time::Duration};

use async_nats::Client;
use bytes::BytesMut;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{Link, info::Info, is_connected, said::Subscription};
use crate::{
    backoff::{Backoff, jittered},
    config::{Config, NatsLogin},
    random,
};

/// The pause between two looks.
const INTERVAL: Duration = Duration::from_secs(3);
/// The longest time for a look.
const LIMIT: Duration = Duration::from_secs(2);
/// The most bytes that are read: the words of a server at the start.
const MOST: usize = 256 * 1024;

/// The result of a look.
struct Seen {
    max_payload: usize,
    /// All of the subscriptions that it asked for are allowed.
    allowed: bool,
}

/// Looks until the process is told to stop.
pub async fn run(client: Client, link: Link, config: Arc<Config>, stop: CancellationToken) {
    // A subscription that is allowed here and refused again on the open connection is not asked for
    // all the time.
    let mut patience = Backoff::new(INTERVAL, Duration::from_secs(60));
    let mut next = tokio::time::Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(jittered(INTERVAL)) => {}
        }
        let Some(server) = link.guard.server().filter(|_| is_connected(&client)) else { continue };
        let refused = link.said.refused_subscriptions();
        // A look that fails is repeated. Other checks say that the server is away.
        let Ok(Some(seen)) = timeout(LIMIT, look(&config, &server, &refused)).await else { continue };
        let ours = client.max_payload();
        if seen.max_payload != ours {
            link.guard.cut(&format!("max_payload of the server is {} now, and was {ours}", seen.max_payload));
        } else if refused.is_empty() {
            patience.reset();
        } else if seen.allowed && tokio::time::Instant::now() >= next {
            next = tokio::time::Instant::now() + patience.next_pause();
            link.guard.cut("the server allows by now what it has refused");
        }
    }
}

async fn look(config: &Config, server: &str, refused: &[Subscription]) -> Option<Seen> {
    let mut stream = TcpStream::connect(server).await.ok()?;
    let mut input = BytesMut::new();
    let info: Info = loop {
        let line = line(&mut stream, &mut input).await?;
        if let Some(info) = line.strip_prefix("INFO ") {
            break serde_json::from_str(info).ok()?;
        }
    };
    let mut allowed = true;
    if !refused.is_empty() {
        stream.write_all(questions(config, refused).as_bytes()).await.ok()?;
        loop {
            let line = line(&mut stream, &mut input).await?;
            match line.as_str() {
                "PONG" => break,
                line if line.starts_with("-ERR") => allowed = false,
                _ => {}
            }
        }
    }
    Some(Seen { max_payload: info.max_payload, allowed })
}

/// A login, the refused subscriptions, and a ping. The answer to the ping comes after the answers
/// to all before it.
fn questions(config: &Config, refused: &[Subscription]) -> String {
    let mut connect = json!({
        "verbose": false, "pedantic": false, "lang": "rust", "version": env!("CARGO_PKG_VERSION"), "protocol": 1,
        "name": format!("tpro/{}/{}/inquiry", config.service, config.copy),
    });
    match &config.nats_login {
        NatsLogin::None => {}
        NatsLogin::Token(token) => connect["auth_token"] = json!(token.expose()),
        NatsLogin::User(user, password) => {
            connect["user"] = json!(user);
            connect["pass"] = json!(password.expose());
        }
    }
    let mut text = format!("CONNECT {connect}\r\n");
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

/// The next line, without its end.
async fn line(stream: &mut TcpStream, input: &mut BytesMut) -> Option<String> {
    loop {
        if let Some(end) = input.windows(2).position(|two| two == b"\r\n") {
            let line = input.split_to(end + 2);
            return String::from_utf8(line[..end].to_vec()).ok();
        }
        if input.len() > MOST || stream.read_buf(input).await.ok()? == 0 {
            return None;
        }
    }
}
