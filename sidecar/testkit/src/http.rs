//! The little HTTP that tests need: one GET on loopback.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::failure::{Context, Failure, Outcome};

const LIMIT: Duration = Duration::from_secs(10);

/// A response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header lines as they came.
    pub head: String,
    /// The body.
    pub body: String,
}

/// `GET path` from 127.0.0.1.
pub async fn get(port: u16, path: &str) -> Outcome<Response> {
    let answer = timeout(LIMIT, exchange(port, path)).await;
    let what = format!("GET http://127.0.0.1:{port}{path}");
    answer.map_err(|_| Failure::new("no answer in time")).flatten().context(what)
}

async fn exchange(port: u16, path: &str) -> Outcome<Response> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    // Version 1.0, so that the body is neither chunked nor the connection kept.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8(answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no end of the header")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status line")?;
    Ok(Response { status, head: head.to_owned(), body: body.to_owned() })
}
