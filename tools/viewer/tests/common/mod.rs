//! The real program on free ports, an exporter that sends to it, and a reader of its API.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Otlp};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// A running viewer; it is killed when dropped.
pub struct Viewer {
    pub child: Child,
    pub otlp: String,
    pub ui: String,
}

impl Viewer {
    /// Starts it and waits for the line that says where it listens.
    pub fn start() -> Outcome<Self> {
        Self::with(&[])
    }

    /// The same with further arguments.
    pub fn with(arguments: &[&str]) -> Outcome<Self> {
        let mut child =
            command("127.0.0.1:0", "127.0.0.1:0").args(arguments).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let addresses: Vec<&str> = line.split([' ', ',', '/']).filter(|word| word.contains("127.")).collect();
        let [otlp, ui] = addresses[..] else { return Err(format!("it said {line:?}").into()) };
        Ok(Self { child, otlp: otlp.to_owned(), ui: ui.trim().to_owned() })
    }

    /// Sends spans on behalf of a service.
    pub async fn send(&self, service: &str, spans: Vec<Span>) -> Outcome {
        let mut client = TraceServiceClient::connect(format!("http://{}", self.otlp)).await?;
        let resource = Resource { attributes: vec![text("service.name", service)], ..Resource::default() };
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        let resource_spans =
            vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }];
        client.export(ExportTraceServiceRequest { resource_spans }).await?;
        Ok(())
    }

    /// GET: the status and the body.
    pub async fn get(&self, path: &str) -> Outcome<(u16, String)> {
        self.get_as("localhost", path).await
    }

    /// The same under a name.
    pub async fn get_as(&self, host: &str, path: &str) -> Outcome<(u16, String)> {
        let mut stream = TcpStream::connect(&self.ui).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no head")?;
        Ok((head.split(' ').nth(1).ok_or("no status")?.parse()?, body.to_owned()))
    }

    /// The most memory it has had in RAM so far.
    pub fn peak_memory_kb(&self) -> Outcome<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak of memory")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// GET of the API: the member `data`.
    pub async fn data(&self, path: &str) -> Outcome<Value> {
        let (status, body) = self.get(path).await?;
        match status {
            200 => Ok(serde_json::from_str::<Value>(&body)?["data"].take()),
            _ => Err(format!("{path}: {status} {body}").into()),
        }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The program with its two addresses.
pub fn command(otlp: &str, ui: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tpro-viewer"));
    command.args(["--otlp", otlp, "--ui", ui]);
    command
}

/// A span of trace `trace`; ids are made of one byte, parent 0 is none; times in milliseconds of some day.
pub fn span(trace: u8, id: u8, parent: u8, name: &str, kind: i32, from_ms: u64, to_ms: u64) -> Span {
    const DAY_MS: u64 = 1_700_000_000_000;
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 { vec![] } else { vec![parent; 8] },
        name: name.to_owned(),
        kind,
        start_time_unix_nano: (DAY_MS + from_ms) * 1_000_000,
        end_time_unix_nano: (DAY_MS + to_ms) * 1_000_000,
        ..Span::default()
    }
}

/// A text attribute.
pub fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Otlp::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}
