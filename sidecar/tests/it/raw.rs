//! A client of NATS that writes bytes, whatever they are.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tpro_testkit::{Context as _, Failure, Nats, Outcome};

/// A connection that is logged in.
pub struct Raw {
    stream: TcpStream,
    input: Vec<u8>,
    /// All that has ever come.
    heard: Vec<u8>,
}

/// A message that cannot be parsed: its name, its subject behind what comes before, its headers.
pub struct Broken {
    /// What is wrong with it.
    pub name: &'static str,
    subject: &'static [u8],
    headers: Option<&'static [u8]>,
}

/// The kinds of messages that the NATS client of a copy could not parse as they come.
pub const BROKEN: [Broken; 9] = [
    broken("header not UTF-8", b"", Some(b"NATS/1.0\r\nName: caf\xe9\r\n\r\n")),
    broken("no colon", b"", Some(b"NATS/1.0\r\nno colon\r\n\r\n")),
    broken("bad status", b"", Some(b"NATS/1.0 9x9\r\n\r\n")),
    broken("no version", b"", Some(b"HTTP/1.1\r\nA: b\r\n\r\n")),
    broken("name not ASCII", b"", Some(b"NATS/1.0\r\nn\xc3\xa4me: b\r\n\r\n")),
    // The client's task panics at this one.
    broken("carriage return in a value", b"", Some(b"NATS/1.0\r\nA: b\rc\r\n\r\n")),
    broken("subject not UTF-8", b"caf\xe9", None),
    broken("subject not UTF-8, with headers", b"caf\xe9", Some(b"NATS/1.0\r\nA: b\r\n\r\n")),
    broken("subject with a space of Unicode", "a\u{a0}b".as_bytes(), Some(b"NATS/1.0\r\nA: b\r\n\r\n")),
];

const fn broken(name: &'static str, subject: &'static [u8], headers: Option<&'static [u8]>) -> Broken {
    Broken { name, subject, headers }
}

impl Broken {
    /// Its subject, which begins with `before`; `usual` is the end of one that can be read.
    pub fn subject(&self, before: &str, usual: &str) -> Vec<u8> {
        let end = if self.subject.is_empty() { usual.as_bytes() } else { self.subject };
        [before.as_bytes(), end].concat()
    }
}

impl Raw {
    /// Logs in with the token.
    pub async fn connect(nats: &Nats) -> Outcome<Raw> {
        Raw::with_login(nats, json!({"auth_token": nats.token()})).await
    }

    /// Logs in as a user of the kit's.
    pub async fn log_in(nats: &Nats, user: &str) -> Outcome<Raw> {
        Raw::with_login(nats, json!({"user": user, "pass": nats.password()})).await
    }

    async fn with_login(nats: &Nats, mut login: Value) -> Outcome<Raw> {
        let stream = TcpStream::connect(("127.0.0.1", nats.port())).await.context("connecting to NATS")?;
        let mut raw = Raw { stream, input: Vec::new(), heard: Vec::new() };
        for (option, value) in [("verbose", false), ("pedantic", false), ("headers", true)] {
            login[option] = json!(value);
        }
        raw.stream.write_all(format!("CONNECT {login}\r\n").as_bytes()).await?;
        raw.flush().await?;
        Ok(raw)
    }

    /// Writes a command and returns what the server says to it, up to its answer to a ping.
    pub async fn told_of(&mut self, command: &[u8]) -> Outcome<String> {
        self.stream.write_all(&[command, b"\r\nPING\r\n"].concat()).await?;
        let mut told = String::new();
        loop {
            let line = self.line().await?;
            if line == b"PONG" {
                return Ok(told);
            }
            told.push_str(&String::from_utf8_lossy(&line));
        }
    }

    /// Whether these words have come to it so far.
    pub fn has_heard(&self, words: &str) -> bool {
        String::from_utf8_lossy(&self.heard).contains(words)
    }

    /// Publishes bytes.
    pub async fn publish(
        &mut self,
        subject: &[u8],
        reply: Option<&[u8]>,
        headers: Option<&[u8]>,
        payload: &[u8],
    ) -> Outcome {
        let verb: &[u8] = if headers.is_some() { b"HPUB" } else { b"PUB" };
        let mut words = vec![verb, subject];
        words.extend(reply);
        let mut line = words.join(&b' ');
        let of_headers = headers.unwrap_or_default();
        if headers.is_some() {
            line.extend_from_slice(format!(" {}", of_headers.len()).as_bytes());
        }
        line.extend_from_slice(format!(" {}\r\n", of_headers.len() + payload.len()).as_bytes());
        self.stream.write_all(&[&line[..], of_headers, payload, b"\r\n"].concat()).await?;
        Ok(())
    }

    /// Publishes one of the broken messages.
    pub async fn publish_broken(
        &mut self,
        broken: &Broken,
        subject: &[u8],
        reply: Option<&[u8]>,
        payload: &[u8],
    ) -> Outcome {
        self.publish(subject, reply, broken.headers, payload).await
    }

    /// Subscribes, under number 1.
    pub async fn subscribe(&mut self, subject: &str) -> Outcome {
        self.stream.write_all(format!("SUB {subject} 1\r\n").as_bytes()).await?;
        self.flush().await
    }

    /// The reply subject and the payload of the next message.
    pub async fn next(&mut self) -> Outcome<(Option<Vec<u8>>, Vec<u8>)> {
        loop {
            let line = self.line().await?;
            let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
            let number = |word: &[u8]| -> Outcome<usize> { Ok(str::from_utf8(word)?.parse()?) };
            let (reply, headers, all) = match words[..] {
                [b"MSG", _, _, all] => (None, 0, number(all)?),
                [b"MSG", _, _, reply, all] => (Some(reply.to_vec()), 0, number(all)?),
                [b"HMSG", _, _, headers, all] => (None, number(headers)?, number(all)?),
                [b"HMSG", _, _, reply, headers, all] => {
                    (Some(reply.to_vec()), number(headers)?, number(all)?)
                }
                [b"PING"] => {
                    self.stream.write_all(b"PONG\r\n").await?;
                    continue;
                }
                _ => continue,
            };
            while self.input.len() < all + 2 {
                self.read().await?;
            }
            let payload = self.input[headers..all].to_vec();
            self.input.drain(..all + 2);
            return Ok((reply, payload));
        }
    }

    /// Waits until the server has all that was written; what it says no to is a failure.
    pub async fn flush(&mut self) -> Outcome {
        self.stream.write_all(b"PING\r\n").await?;
        loop {
            let line = self.line().await?;
            if line == b"PONG" {
                return Ok(());
            }
            if line.starts_with(b"-ERR") {
                return Err(Failure::new(format!("NATS says {}", line.escape_ascii())));
            }
        }
    }

    async fn line(&mut self) -> Outcome<Vec<u8>> {
        loop {
            if let Some(end) = self.input.windows(2).position(|two| two == b"\r\n") {
                let line = self.input.drain(..end + 2).take(end).collect();
                return Ok(line);
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Outcome {
        let before = self.input.len();
        let read = self.stream.read_buf(&mut self.input).await?;
        self.heard.extend_from_slice(&self.input[before..]);
        if read == 0 {
            return Err(Failure::new("NATS has closed the connection"));
        }
        Ok(())
    }
}
