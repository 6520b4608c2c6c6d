//! A filter that makes the stream of the server readable for the client library.
//!
//! The library ends the connection at a message that it cannot parse, and loses with it all that
//! the socket holds: requests of others, replies to others. The server carries a message like this
//! all the same, because it looks at no header, and only at a part of a subject. So the filter
//! looks at each message on its way in. A message that the library can parse passes as it is. In
//! another one the parts that cannot be read are left out or replaced, and the rest passes: its
//! payload, its subject as far as it can be written, its readable headers.
//!
//! The protocol: <https://docs.nats.io/reference/reference-protocols/nats-protocol>.

mod headers;
mod line;
mod plain;

use bytes::{Buf as _, Bytes, BytesMut};

use self::line::Line;
pub(super) use self::line::line_end;
use super::info;

/// The longest line that a server sends: `INFO` with the addresses of a large cluster, a message
/// with two long subjects.
pub(super) const LINE_MAX: usize = 256 * 1024;

/// News that the filter hears on the way.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The words of the server about itself, JSON.
    Info(Bytes),
    /// The server takes the login: its first word after `INFO` was no error.
    Accepted,
    /// The server says no, in these words.
    No(String),
    /// A message could not be parsed as it came.
    Unreadable {
        /// Its subject, as far as it can be written.
        subject: String,
        /// The fault in it.
        reason: &'static str,
    },
}

/// The bytes that come are not the protocol of NATS.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the server there does not speak the protocol of NATS")]
pub(super) struct NotNats;

/// The state between two reads.
#[derive(Default)]
pub(super) struct Filter {
    /// Bytes of the message's payload that are still to come, its line end included.
    payload: usize,
    informed: bool,
    accepted: bool,
}

/// The next thing in the input.
enum Next {
    /// So many bytes that pass as they are.
    Clean(usize),
    /// So many bytes that are replaced.
    Instead(usize, Vec<u8>),
    /// More is needed.
    More,
}

impl Filter {
    /// Takes the part of `input` that can be passed on.
    pub fn pass(
        &mut self,
        input: &mut BytesMut,
        mut out: impl FnMut(Bytes),
        mut heard: impl FnMut(Heard),
    ) -> Result<(), NotNats> {
        let mut at = 0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            if self.payload > 0 {
                let here = self.payload.min(rest.len());
                (at, self.payload) = (at + here, self.payload - here);
                if self.payload > 0 {
                    break;
                }
                continue;
            }
            match self.next(rest, &mut heard)? {
                Next::Clean(bytes) => at += bytes,
                Next::Instead(bytes, instead) => {
                    out(input.split_to(at).freeze());
                    input.advance(bytes);
                    out(instead.into());
                    at = 0;
                }
                Next::More => break,
            }
        }
        if at > 0 {
            out(input.split_to(at).freeze());
        }
        Ok(())
    }

    fn next(&mut self, rest: &[u8], heard: &mut impl FnMut(Heard)) -> Result<Next, NotNats> {
        let Some(end) = line_end(rest) else {
            return if rest.len() > LINE_MAX { Err(NotNats) } else { Ok(Next::More) };
        };
        let (line, length) = (&rest[..end], end + 2);
        if let Some(info) = line.strip_prefix(b"INFO ") {
            self.informed = true;
            heard(Heard::Info(Bytes::copy_from_slice(info)));
            return Ok(match info::without_tls(info) {
                Some(info) => Next::Instead(length, [b"INFO ", &info[..], b"\r\n"].concat()),
                None => Next::Clean(length),
            });
        }
        // A server begins with `INFO`.
        if !self.informed {
            return Err(NotNats);
        }
        if let Some(text) = line.strip_prefix(b"-ERR") {
            let text = String::from_utf8_lossy(text).trim().trim_matches('\'').to_owned();
            let instead = format!("-ERR '{text}'\r\n").into_bytes();
            heard(Heard::No(text));
            return Ok(Next::Instead(length, instead));
        }
        if !self.accepted {
            self.accepted = true;
            heard(Heard::Accepted);
        }
        if let Some(arguments) = line.strip_prefix(b"MSG ") {
            return self.message(arguments, length, heard);
        }
        if let Some(arguments) = line.strip_prefix(b"HMSG ") {
            return self.message_with_headers(arguments, &rest[length..], length, heard);
        }
        match line {
            b"PING" | b"PONG" | b"+OK" => Ok(Next::Clean(length)),
            _ => Err(NotNats),
        }
    }

    /// `MSG <subject> <sid> [reply-to] <bytes>`
    fn message(
        &mut self,
        arguments: &[u8],
        length: usize,
        heard: &mut impl FnMut(Heard),
    ) -> Result<Next, NotNats> {
        let line = Line::read(arguments, 1)?;
        self.payload = line.numbers[0] + 2;
        let Some(reason) = line.flaw() else { return Ok(Next::Clean(length)) };
        heard(Heard::Unreadable { subject: line.subject(), reason });
        Ok(Next::Instead(length, line.write("MSG", &line.numbers[..1])))
    }

    /// `HMSG <subject> <sid> [reply-to] <bytes of headers> <bytes of all>`
    fn message_with_headers(
        &mut self,
        arguments: &[u8],
        after: &[u8],
        length: usize,
        heard: &mut impl FnMut(Heard),
    ) -> Result<Next, NotNats> {
        let line = Line::read(arguments, 2)?;
        let [headers, all] = line.numbers;
        let payload = all.checked_sub(headers).ok_or(NotNats)?;
        let Some(block) = after.get(..headers) else { return Ok(Next::More) };
        self.payload = payload + 2;
        let flaw = line.flaw().or_else(|| headers::flaw(block));
        let Some(reason) = flaw else { return Ok(Next::Clean(length + headers)) };
        heard(Heard::Unreadable { subject: line.subject(), reason });
        let block = headers::readable(block);
        let mut instead = line.write("HMSG", &[block.len(), block.len() + payload]);
        instead.extend_from_slice(&block);
        Ok(Next::Instead(length + headers, instead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "INFO {\"max_payload\":1048576}\r\nPONG\r\n";

    /// The bytes that pass when this input comes in pieces of this size, and the news besides
    /// `INFO` and the welcome.
    fn filtered(input: &[u8], piece: usize) -> Result<(Vec<u8>, Vec<Heard>), NotNats> {
        let (mut filter, mut buffer) = (Filter::default(), BytesMut::new());
        let (mut passed, mut heard) = (Vec::new(), Vec::new());
        for piece in [INFO.as_bytes(), input].concat().chunks(piece) {
            buffer.extend_from_slice(piece);
            filter.pass(&mut buffer, |bytes| passed.extend_from_slice(&bytes), |news| heard.push(news))?;
        }
        assert!(buffer.is_empty(), "nothing is held back: {buffer:?}");
        let passed = passed.strip_prefix(INFO.as_bytes()).expect("it comes first").to_vec();
        Ok((passed, heard.split_off(2)))
    }

    fn headed(headers: &[u8], payload: &[u8]) -> Vec<u8> {
        let (of_headers, all) = (headers.len(), headers.len() + payload.len());
        let line = format!("HMSG tpro.a.b.c 7 _INBOX.x {of_headers} {all}\r\n");
        [line.as_bytes(), headers, payload, b"\r\n"].concat()
    }

    fn unreadable(heard: &[Heard]) -> Vec<(&str, &str)> {
        heard
            .iter()
            .map(|heard| match heard {
                Heard::Unreadable { subject, reason } => (subject.as_str(), *reason),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn what_can_be_read_passes_to_the_byte_however_it_is_cut() {
        let good = [
            &b"MSG tpro.a.b.c 1 5\r\nhello\r\nPING\r\nMSG a 2 _INBOX.r 0\r\n\r\n"[..],
            &headed(b"NATS/1.0\r\nA: b\r\n  goes on\r\nC:\r\n\r\n", b"MSG x\r\nHMSG"),
            &headed(b"NATS/1.0 503\r\n\r\n", b""),
            &headed("NATS/1.0 100 Idle\r\nName: caf\u{e9}\r\n\r\n".as_bytes(), b"\xff\xfe"),
            b"+OK\r\n-ERR 'Slow Consumer'\r\nINFO {\"ldm\":true}\r\n",
        ]
        .concat();
        for piece in (1..40).chain([good.len() + INFO.len()]) {
            let (passed, heard) = filtered(&good, piece).expect("it is NATS");
            assert_eq!(passed, good, "in pieces of {piece}");
            let no = Heard::No("Slow Consumer".into());
            assert_eq!(heard, [no, Heard::Info(Bytes::from_static(b"{\"ldm\":true}"))]);
        }
    }

    #[test]
    fn headers_that_cannot_be_read_are_left_out_and_the_others_pass() {
        let cases: [(&[u8], &str); 9] = [
            (b"NATS/1.0\r\nX: caf\xe9\r\nA: b\r\n\r\n", "NATS/1.0\r\nA: b\r\n\r\n"),
            (b"NATS/1.0\r\nno colon\r\nA: b\r\n\r\n", "NATS/1.0\r\nA: b\r\n\r\n"),
            (b"NATS/1.0 9x9\r\nA: b\r\n\r\n", "NATS/1.0\r\nA: b\r\n\r\n"),
            (b"NATS/1.0 099\r\n\r\n", "NATS/1.0\r\n\r\n"),
            (b"HTTP/1.1 200\r\nA: b\r\n\r\n", "NATS/1.0\r\nA: b\r\n\r\n"),
            (b"NATS/1.0\r\nn\xc3\xa4me: x\r\nA: b\r\n\r\n", "NATS/1.0\r\nA: b\r\n\r\n"),
            (b"NATS/1.0\r\nX: a\rb\r\nA: b\r\n\r\n", "NATS/1.0\r\nA: b\r\n\r\n"),
            (b"NATS/1.0\r\nX: a\r\n \xe9\r\nA: b\r\n c\r\n\r\n", "NATS/1.0\r\nA: b\r\n c\r\n\r\n"),
            (b"\xff", "NATS/1.0\r\n\r\n"),
        ];
        let after = b"MSG tpro.a.b.c 1 2\r\nok\r\n";
        for (headers, readable) in cases {
            let input = [&headed(headers, b"{}")[..], after].concat();
            for piece in [1, 7, input.len()] {
                let (passed, heard) = filtered(&input, piece).expect("it is NATS");
                let expected = [&headed(readable.as_bytes(), b"{}")[..], after].concat();
                assert_eq!(passed, expected, "{}", headers.escape_ascii());
                assert_eq!(unreadable(&heard).len(), 1, "{}", headers.escape_ascii());
                assert_eq!(unreadable(&heard)[0].0, "tpro.a.b.c");
                assert_eq!(headers::flaw(readable.as_bytes()), None, "what is written can be read");
            }
        }
    }

    #[test]
    fn subjects_that_cannot_be_read_are_replaced() {
        let input = b"MSG tpro.a.caf\xe9 1 2\r\n{}\r\nMSG tpro.a.b 1 _IN\x0bBOX 2\r\n{}\r\n";
        let (passed, heard) = filtered(input, 5).expect("it is NATS");
        let expected = "MSG tpro.a.caf\u{FFFD} 1 2\r\n{}\r\nMSG tpro.a.b 1 _IN\u{FFFD}BOX 2\r\n{}\r\n";
        assert_eq!(String::from_utf8(passed).expect("it is text"), expected);
        assert_eq!(unreadable(&heard)[0], ("tpro.a.caf\u{FFFD}", "its subject is not UTF-8"));
        assert_eq!(unreadable(&heard)[1], ("tpro.a.b", "its subject has a space in it"));
    }

    #[test]
    fn what_is_no_nats_is_told() {
        let mut buffer = BytesMut::from(&b"HTTP/1.1 400 Bad Request\r\n"[..]);
        let passed = Filter::default().pass(&mut buffer, |_| {}, |_| {});
        assert_eq!(passed, Err(NotNats));
        let endless = [INFO.as_bytes(), &vec![b'x'; LINE_MAX + 1]].concat();
        let passed = Filter::default().pass(&mut BytesMut::from(&endless[..]), |_| {}, |_| {});
        assert_eq!(passed, Err(NotNats), "a line without end");
        for line in ["MSG a 1\r\n", "MSG a 1 x\r\n", "HMSG a 1 9 2\r\n", "MSG a 1 r 2 3\r\n", "WHAT\r\n"] {
            assert_eq!(filtered(line.as_bytes(), 4), Err(NotNats), "{line}");
        }
    }
}
