//! The pump between the client library and a server, in both directions.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    time::timeout,
};

use crate::nats::{
    ended::Ended,
    filter::{Filter, Heard},
};

/// Bytes read at a time.
const READ: usize = 64 * 1024;
/// The longest time for the end of a connection.
const SHUTDOWN: Duration = Duration::from_secs(3);

/// Carries from the client to the server, until the client closes. A login that is signed is put
/// into the client's first words. An error is the server's, which takes no more.
pub(super) async fn up(
    from: OwnedReadHalf,
    mut to: impl AsyncWrite + Unpin,
    login: &[(&'static str, String)],
) -> std::io::Result<()> {
    let mut from = BufReader::with_capacity(READ, from);
    if !login.is_empty() {
        let mut line = Vec::new();
        if from.read_until(b'\n', &mut line).await.is_err() {
            return Ok(());
        }
        to.write_all(&signed(line, login)).await?;
        to.flush().await?;
    }
    loop {
        let chunk = match from.fill_buf().await {
            Ok(chunk) if !chunk.is_empty() => chunk,
            _ => break,
        };
        let length = chunk.len();
        to.write_all(chunk).await?;
        // TLS holds bytes back that the socket did not take.
        to.flush().await?;
        from.consume(length);
    }
    let _ = timeout(SHUTDOWN, to.shutdown()).await;
    Ok(())
}

/// `CONNECT` with these fields, too.
fn signed(line: Vec<u8>, login: &[(&'static str, String)]) -> Vec<u8> {
    let fields = line.strip_prefix(b"CONNECT ").map(serde_json::from_slice::<Map<String, Value>>);
    let Some(Ok(mut fields)) = fields else { return line };
    fields.extend(login.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    format!("CONNECT {}\r\n", Value::Object(fields)).into_bytes()
}

/// Carries from the server to the client all that passes the filter, until the server closes.
/// `input` is what the server has said so far. `hear` is told the news first.
pub(super) async fn down(
    mut from: impl AsyncRead + Unpin,
    mut input: BytesMut,
    mut to: OwnedWriteHalf,
    mut hear: impl FnMut(Heard) -> Result<(), Ended>,
) -> Result<(), Ended> {
    let mut filter = Filter::default();
    let (mut chunks, mut heard) = (Vec::<Bytes>::new(), Vec::new());
    loop {
        let passed = filter.pass(&mut input, |chunk| chunks.push(chunk), |news| heard.push(news));
        for news in heard.drain(..) {
            hear(news)?;
        }
        for mut chunk in chunks.drain(..) {
            to.write_all_buf(&mut chunk).await?;
        }
        passed?;
        input.reserve(READ);
        if from.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_comes_into_the_words_of_the_client() {
        let login = [("nkey", "UABC".to_owned()), ("sig", "x".to_owned())];
        let line = signed(b"CONNECT {\"verbose\":false,\"sig\":null}\r\n".to_vec(), &login);
        let fields = line.strip_prefix(b"CONNECT ").and_then(|line| line.strip_suffix(b"\r\n")).unwrap();
        let fields: Value = serde_json::from_slice(fields).unwrap();
        assert_eq!(fields, json!({"verbose": false, "nkey": "UABC", "sig": "x"}));
        assert_eq!(signed(b"PING\r\n".to_vec(), &login), b"PING\r\n");
    }
}
