//! The little HTTP that tests need: one GET on loopback.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tpro_servers::http::{read, request};

use crate::failure::{Context, Failure, Outcome};

pub use tpro_servers::http::Answer as Response;

const LIMIT: Duration = Duration::from_secs(10);

/// `GET path` from 127.0.0.1.
pub async fn get(port: u16, path: &str) -> Outcome<Response> {
    let answer = timeout(LIMIT, exchange(port, path)).await;
    let what = format!("GET http://127.0.0.1:{port}{path}");
    answer.map_err(|_| Failure::new("no answer in time")).flatten().context(what)
}

async fn exchange(port: u16, path: &str) -> Outcome<Response> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(request(path).as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    read(&String::from_utf8(answer)?).context("this is no whole answer of HTTP")
}
