//! The subcommand `health`: asks the running service on its own port, for container health checks
//! without a shell.

use std::{io::Write as _, net::IpAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tpro_runtime::config::Config;

use super::{End, say};

/// The longest time for the answer.
const LIMIT: Duration = Duration::from_secs(3);
/// Longest answer that is read: a line per failing check.
const MOST: u64 = 64 * 1024;

/// Prints the answer of `/readyz`.
pub(super) async fn is_ready(config: &Config) -> End {
    if config.port == 0 {
        say("SERVICE_PORT is 0: the running service has a port that only its log knows");
        return End::Forced;
    }
    match tokio::time::timeout(LIMIT, ask(config)).await {
        Ok(Ok((ready, text))) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            if ready { End::Graceful } else { End::Forced }
        }
        Ok(Err(error)) => {
            say(&format!("no answer on port {} (SERVICE_PORT): {error}", config.port));
            End::Forced
        }
        Err(_) => {
            say(&format!("no answer on port {} (SERVICE_PORT) within {} s", config.port, LIMIT.as_secs()));
            End::Forced
        }
    }
}

async fn ask(config: &Config) -> std::io::Result<(bool, String)> {
    // A server that listens on all addresses listens on loopback.
    let everywhere = config.host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
    let host = if everywhere { "127.0.0.1" } else { config.host.as_str() };
    let mut stream = TcpStream::connect((host, config.port)).await?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.take(MOST).read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer.as_str(), ""));
    Ok((head.starts_with("HTTP/1.1 200"), body.to_owned()))
}
