//! HTTP on loopback: one GET.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The whole exchange has this time: a frozen process must not freeze the command.
const LIMIT: Duration = Duration::from_secs(2);
/// The longest answer that is read.
const LONGEST: usize = 4 << 20;

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status; 0 if nobody answers.
    pub status: u16,
    /// The lines of its header.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The value of a key with a text, in a body that is JSON: the first one of this name.
    pub fn text(&self, key: &str) -> Option<&str> {
        let rest = self.body.split_once(&format!("\"{key}\""))?.1.trim_start().strip_prefix(':')?;
        Some(rest.trim_start().strip_prefix('"')?.split_once('"')?.0)
    }
}

/// The request. Version 1.0, so that the body is neither chunked nor the connection kept.
pub fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
}

/// `GET path` from 127.0.0.1.
pub fn get(port: u16, path: &str) -> Answer {
    exchange(port, path).ok().and_then(|answer| read(&answer)).unwrap_or_default()
}

fn exchange(port: u16, path: &str) -> io::Result<String> {
    let until = Instant::now() + LIMIT;
    // An operation with no time at all is refused by the standard library.
    let left = || until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), left())?;
    stream.set_write_timeout(Some(left()))?;
    stream.write_all(request(path).as_bytes())?;
    let mut answer = Vec::new();
    let mut part = [0; 16 << 10];
    while Instant::now() < until && answer.len() < LONGEST {
        stream.set_read_timeout(Some(left()))?;
        match stream.read(&mut part)? {
            0 => return Ok(String::from_utf8_lossy(&answer).into_owned()),
            read => answer.extend(&part[..read]),
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// The answer in these bytes that came; none if they are no whole header.
pub fn read(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.get(..3)?.parse().ok()?;
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn an_answer_has_a_status_and_a_body() {
        let answer = "HTTP/1.0 503 Service Unavailable\r\nA: b\r\n\r\nnats: down\n";
        let (head, body) = ("HTTP/1.0 503 Service Unavailable\r\nA: b".to_owned(), "nats: down\n".to_owned());
        assert_eq!(read(answer), Some(Answer { status: 503, head, body }));
        let json = "HTTP/1.1 200 OK\r\n\r\n{\"a\": {\"version\" :\n \"1.0\"}, \"version\": \"2\"}";
        let answer = read(json).expect("an answer");
        assert_eq!((answer.text("version"), answer.text("none")), (Some("1.0"), None));
        assert_eq!(read("SSH-2.0-x\r\n"), None);
    }

    #[test]
    fn a_server_that_is_silent_is_nobody() {
        let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a listener");
        let port = silent.local_addr().expect("its address").port();
        assert_eq!(get(port, "/").status, 0);
        drop(silent);
        assert_eq!(get(port, "/").status, 0);
    }
}
