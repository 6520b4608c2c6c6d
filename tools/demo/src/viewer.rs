//! The trace viewer's API: one GET.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::trace::Trace;

/// Spans are exported in batches, seconds after they have ended.
const ARRIVAL: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(200);
const LIMIT: Duration = Duration::from_secs(10);

/// The viewer.
pub struct Viewer {
    url: String,
}

impl Viewer {
    /// The viewer at an address such as `http://127.0.0.1:16686`.
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned() }
    }

    /// The page of a trace.
    pub fn page(&self, trace_id: &str) -> String {
        format!("{}/trace/{trace_id}", self.url)
    }

    /// The trace as it is now; none if it has no span yet.
    pub async fn trace(&self, trace_id: &str) -> Result<Option<Trace>, String> {
        let path = format!("/api/traces/{trace_id}");
        let exchange = timeout(LIMIT, get(&self.url, &path)).await;
        let (status, body) = exchange
            .map_err(|_| "no answer".to_owned())
            .flatten()
            .map_err(|error| format!("{}{path}: {error}", self.url))?;
        match status {
            200 => {
                let answer: Value =
                    serde_json::from_str(&body).map_err(|error| format!("{path}: {error}"))?;
                Ok(Some(Trace::read(&answer["data"][0])))
            }
            404 => Ok(None),
            status => Err(format!("{}{path}: status {status}", self.url)),
        }
    }

    /// Waits until the trace is as `wanted` says; else the last complaint of `wanted`.
    pub async fn wait(
        &self,
        trace_id: &str,
        wanted: impl Fn(&Trace) -> Result<(), String>,
    ) -> Result<Trace, String> {
        let end = Instant::now() + ARRIVAL;
        loop {
            let missing = match self.trace(trace_id).await? {
                Some(trace) => match wanted(&trace) {
                    Ok(()) => return Ok(trace),
                    Err(missing) => missing,
                },
                None => "no span of it has arrived".to_owned(),
            };
            if Instant::now() >= end {
                return Err(format!("trace {trace_id} after {} s: {missing}", ARRIVAL.as_secs()));
            }
            sleep(PAUSE).await;
        }
    }
}

/// HTTP/1.0, so that the body is neither chunked nor the connection kept.
async fn get(url: &str, path: &str) -> Result<(u16, String), String> {
    let rest = url.strip_prefix("http://").ok_or("JAEGER_URL is not an http:// address")?;
    let (host, prefix) =
        rest.split_once('/').map_or((rest, String::new()), |(host, p)| (host, format!("/{p}")));
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let mut stream = TcpStream::connect(&address).await.map_err(|error| error.to_string())?;
    let request = format!("GET {prefix}{path} HTTP/1.0\r\nHost: {host}\r\nAccept: application/json\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.map_err(|error| error.to_string())?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("not an HTTP answer")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("not an HTTP status")?;
    Ok((status, body.to_owned()))
}
