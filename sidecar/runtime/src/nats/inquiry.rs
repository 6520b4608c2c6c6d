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
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    Link, is_connected,
    said::Subscription,
    way::{Opened, Stream},
};
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
        let Ok(Some(seen)) = timeout(LIMIT, look(&config, &link, &server, &refused)).await else { continue };
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

async fn look(config: &Config, link: &Link, server: &str, refused: &[Subscription]) -> Option<Seen> {
    let Opened { stream, info, login, .. } = link.guard.open(server).await.ok()?;
    let questions = questions(config, &login, refused);
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
        match line(&mut stream, &mut input).await?.as_str() {
            "PONG" => return Some(allowed),
            line if line.starts_with("-ERR") => allowed = false,
            _ => {}
        }
    }
}

/// A login, the refused subscriptions, and a ping. The answer to the ping comes after the answers
/// to all before it.
fn questions(config: &Config, login: &[(&str, String)], refused: &[Subscription]) -> String {
    let mut connect = json!({
        "verbose": false, "pedantic": false, "lang": "rust", "version": env!("CARGO_PKG_VERSION"), "protocol": 1,
        "name": format!("tpro/{}/{}/inquiry", config.service, config.copy),
    });
    match &config.nats_login {
        NatsLogin::None | NatsLogin::Credentials(_) | NatsLogin::Nkey(_) => {}
        NatsLogin::Token(token) => connect["auth_token"] = json!(token.expose()),
        NatsLogin::User(user, password) => {
            connect["user"] = json!(user);
            connect["pass"] = json!(password.expose());
        }
    }
    for (name, value) in login {
        connect[*name] = json!(value);
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
async fn line(stream: &mut (impl AsyncRead + Unpin), input: &mut BytesMut) -> Option<String> {
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
