//! An HTTP server on loopback: it keeps what it was asked, and answers what the test says.

use std::{
    io,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;
use tpro_sidecar::{Fault, Test, test};
use tpro_testkit::Outcome;
use web_service::{Web, service};

/// A request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Method, path and query: `GET /a?b=c`.
    pub line: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// The body as a text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a text")
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These bytes, then the end of the connection.
    Bytes(Vec<u8>),
    /// None: the connection stays open.
    Silence,
}

/// An answer of a status, lines of headers and a body.
pub fn answer(status: u16, headers: &[&str], body: impl AsRef<[u8]>) -> Answer {
    let body = body.as_ref();
    let mut text = format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    headers.iter().for_each(|line| text.extend([line, "\r\n"]));
    text.push_str("\r\n");
    Answer::Bytes([text.as_bytes(), body].concat())
}

/// The server. It ends with the test.
pub struct Host {
    pub port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    serving: JoinHandle<()>,
}

impl Host {
    /// Starts one that answers each request by a function of it and of the number of those before.
    pub async fn start(
        answers: impl Fn(&Seen, usize) -> Answer + Clone + Send + Sync + 'static,
    ) -> Outcome<Self> {
        Self::listen(None, answers).await
    }

    /// Starts one behind TLS.
    pub async fn secure(
        tls: TlsAcceptor,
        answers: impl Fn(&Seen, usize) -> Answer + Clone + Send + Sync + 'static,
    ) -> Outcome<Self> {
        Self::listen(Some(tls), answers).await
    }

    async fn listen(
        tls: Option<TlsAcceptor>,
        answers: impl Fn(&Seen, usize) -> Answer + Clone + Send + Sync + 'static,
    ) -> Outcome<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (port, seen) = (listener.local_addr()?.port(), Arc::<Mutex<Vec<Seen>>>::default());
        let kept = seen.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, kept, answers) = (tls.clone(), kept.clone(), answers.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => serve(tls.accept(stream).await?, &kept, answers).await,
                        None => serve(stream, &kept, answers).await,
                    }
                });
            }
        });
        Ok(Self { port, seen, serving })
    }

    /// A URL of it by its address.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The requests that came.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("not poisoned").clone()
    }

    /// The only request that came.
    pub fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen[0].clone()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    kept: &Mutex<Vec<Seen>>,
    answers: impl Fn(&Seen, usize) -> Answer,
) -> io::Result<()> {
    let seen = read(&mut stream).await?;
    let answer = {
        let mut kept = kept.lock().expect("not poisoned");
        kept.push(seen.clone());
        answers(&seen, kept.len() - 1)
    };
    match answer {
        Answer::Bytes(bytes) => stream.write_all(&bytes).await?,
        // Until the other side goes.
        Answer::Silence => drop(stream.read(&mut [0]).await?),
    }
    stream.shutdown().await
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    let pair =
        |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let mut seen = Seen { line, headers: lines.filter_map(pair).collect(), body: bytes.split_off(end + 4) };
    let length = seen.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while seen.body.len() < length {
        if stream.read_buf(&mut seen.body).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(seen)
}

/// The service, which may ask the servers of the tests.
pub fn web() -> Test<Web> {
    test(service()).setting("WEB_HOSTS", "127.0.0.1, localhost")
}

/// Sends a request. Its result, or the code and the text of its error.
pub async fn ask(web: &Test<Web>, method: &str, body: &Value) -> Result<Value, (i64, String)> {
    let ended = web.call::<Value>(method, body).await;
    ended.map_err(|fault: Fault| (fault.code(), fault.message().to_owned()))
}
