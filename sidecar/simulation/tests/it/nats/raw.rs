//! A connection to a real nats-server that shows what is on the line.

use std::sync::Arc;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use tpro_simulation::nats::{Delivery, Message, Operation, Refusal};
use tpro_testkit::{Context, Nats, Outcome};

/// A connection.
pub struct Raw {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Raw {
    /// Connects as a user of the server.
    pub async fn connect(nats: &Nats, user: &str) -> Outcome<Self> {
        let (reader, writer) = TcpStream::connect(("127.0.0.1", nats.port())).await?.into_split();
        let mut raw = Self { reader: BufReader::new(reader), writer };
        let info = raw.line().await?.context("the server says who it is")?;
        assert!(info.starts_with("INFO "), "{info}");
        let connect = format!(
            "CONNECT {{\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\
             \"user\":\"{user}\",\"pass\":\"{}\"}}\r\n",
            nats.password()
        );
        raw.writer.write_all(connect.as_bytes()).await?;
        Ok(raw)
    }

    /// Sends an operation, and a PING behind it.
    pub async fn send(&mut self, operation: &Operation) -> Outcome {
        let bytes = [write(operation), b"PING\r\n".to_vec()].concat();
        // The server may have closed the connection: what was on the line is read all the same.
        let _ = self.writer.write_all(&bytes).await;
        Ok(())
    }

    /// Everything that comes before the PONG. None behind it if the server closes the connection.
    pub async fn until_pong(&mut self) -> Outcome<Vec<Option<Delivery>>> {
        let mut taken = Vec::new();
        loop {
            let Some(line) = self.line().await? else {
                taken.push(None);
                return Ok(taken);
            };
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["PONG"] => return Ok(taken),
                ["PING"] => self.writer.write_all(b"PONG\r\n").await?,
                ["INFO", ..] => {}
                ["MSG" | "HMSG", ..] => taken.push(Some(self.message(&words).await?)),
                ["-ERR", ..] => taken.push(Some(Delivery::Refused(refusal(&line)))),
                _ => panic!("{line}"),
            }
        }
    }

    async fn line(&mut self) -> Outcome<Option<String>> {
        let mut line = String::new();
        // A connection that is reset is over, too.
        let read = self.reader.read_line(&mut line).await.unwrap_or(0);
        Ok((read > 0).then(|| line.trim_end().to_owned()))
    }

    /// `MSG subject sid [reply] size`, `HMSG subject sid [reply] headers size`.
    async fn message(&mut self, words: &[&str]) -> Outcome<Delivery> {
        let number = |back: usize| words[words.len() - back].parse::<usize>();
        let has_headers = words[0] == "HMSG";
        let (size, head) = (number(1)?, if has_headers { number(2)? } else { 0 });
        let fixed = if has_headers { 5 } else { 4 };
        let reply = (words.len() > fixed).then(|| Arc::from(words[3]));
        let mut bytes = vec![0; size + 2];
        self.reader.read_exact(&mut bytes).await?;
        let text = String::from_utf8(bytes[..head].to_vec())?;
        let mut lines = text.lines();
        let status = lines.next().and_then(|first| first.strip_prefix("NATS/1.0 ")?.parse().ok());
        let headers = lines.filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            Some((name.into(), value.into()))
        });
        let message = Message {
            subject: words[1].into(),
            reply,
            headers: headers.collect(),
            status,
            payload: bytes[head..size].into(),
        };
        Ok(Delivery::Message { sid: words[2].parse()?, message })
    }
}

fn write(operation: &Operation) -> Vec<u8> {
    match operation {
        Operation::Ping => Vec::new(),
        Operation::Subscribe { sid, subject, queue } => {
            let queue = queue.as_deref().map_or(String::new(), |queue| format!("{queue} "));
            format!("SUB {subject} {queue}{sid}\r\n").into_bytes()
        }
        Operation::Unsubscribe { sid, after } => {
            let after = after.map_or(String::new(), |after| format!(" {after}"));
            format!("UNSUB {sid}{after}\r\n").into_bytes()
        }
        Operation::Publish(message) => {
            let reply = message.reply.as_deref().map_or(String::new(), |reply| format!("{reply} "));
            let lines = message.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
            let lines: String = lines.collect();
            let head = if lines.is_empty() { lines } else { format!("NATS/1.0\r\n{lines}\r\n") };
            let size = message.payload.len() + head.len();
            let first = match head.is_empty() {
                true => format!("PUB {} {reply}{size}\r\n", message.subject),
                false => format!("HPUB {} {reply}{} {size}\r\n{head}", message.subject, head.len()),
            };
            [first.as_bytes(), &message.payload, b"\r\n"].concat()
        }
    }
}

fn refusal(line: &str) -> Refusal {
    let subject = || line.split('"').nth(1).unwrap_or_default().into();
    match line {
        _ if line.contains("Maximum Payload") => Refusal::MaxPayload,
        _ if line.contains("for Publish to") => Refusal::Publish(subject()),
        _ if line.contains("for Subscription to") => Refusal::Subscribe(subject()),
        _ => panic!("{line}"),
    }
}
