//! The words of a server, cut out of the bytes that come from it.
//!
//! A server carries a message that breaks the rules: it looks at no header, and only at a part of a
//! subject. Of a message like this the parts that cannot be read are left out or replaced, and the
//! rest is taken: its payload, its subject as far as it can be written, its readable headers.
//!
//! The protocol: <https://docs.nats.io/reference/reference-protocols/nats-protocol>.

mod headers;
mod line;
mod plain;

use std::ops::Range;

use bytes::{Buf as _, Bytes, BytesMut};

pub(super) use self::line::line_end;
use self::{line::Line, plain::is_usual};
use super::message::{Message, Places};

/// The longest line that a server sends: `INFO` with the addresses of a large cluster, a message
/// with two long subjects.
pub(super) const LINE_MAX: usize = 256 * 1024;
/// A number beyond it is no number of bytes: it is far more than any server takes.
const MESSAGE_MAX: usize = 1024 * 1024 * 1024;
/// Behind a larger message the next ones get a buffer of their own, so that a small one does not
/// keep the memory of a large one.
const LARGE: usize = 64 * 1024;
/// The first line of a block of headers.
const VERSION: usize = b"NATS/1.0\r\n".len();
const LINE_END: usize = 2;

/// A word of the server.
#[derive(Debug)]
pub(super) enum Frame {
    /// The words of the server about itself, JSON.
    Info(Bytes),
    /// The server says no, in these words.
    No(String),
    Ping,
    Pong,
    /// The server has taken something. It says so only when it is asked to.
    Taken,
    /// A message.
    Message {
        /// The number of the subscription.
        subscription: u64,
        /// The message, as far as it can be read.
        message: Message,
        /// The fault in it as it came.
        flaw: Option<&'static str>,
    },
}

/// The bytes that come are not the protocol of NATS.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the server there does not speak the protocol of NATS")]
pub(super) struct NotNats;

/// Takes the next word out of the input. `None` if more must come first.
pub(super) fn next(input: &mut BytesMut) -> Result<Option<Frame>, NotNats> {
    let Some(end) = line_end(input) else {
        return if input.len() > LINE_MAX { Err(NotNats) } else { Ok(None) };
    };
    let line = input.get(..end).unwrap_or_default();
    if line.starts_with(b"HMSG ") {
        return message(input, end, b"HMSG ".len(), 2);
    }
    if line.starts_with(b"MSG ") {
        return message(input, end, b"MSG ".len(), 1);
    }
    let word = match line {
        b"PING" => Frame::Ping,
        b"PONG" => Frame::Pong,
        b"+OK" => Frame::Taken,
        _ if line.starts_with(b"INFO ") => Frame::Info(Bytes::copy_from_slice(&line[b"INFO ".len()..])),
        _ if line.starts_with(b"-ERR") => {
            let text = String::from_utf8_lossy(&line[b"-ERR".len()..]);
            Frame::No(text.trim().trim_matches('\'').to_owned())
        }
        _ => return Err(NotNats),
    };
    input.advance(end + LINE_END);
    Ok(Some(word))
}

/// `MSG <subject> <number> [reply-to] <bytes>`, or
/// `HMSG <subject> <number> [reply-to] <bytes of headers> <bytes of all>`, whose line has its end
/// and its arguments there.
fn message(
    input: &mut BytesMut,
    end: usize,
    arguments: usize,
    numbers: usize,
) -> Result<Option<Frame>, NotNats> {
    let line = Line::read(&input[..end], arguments, numbers)?;
    let (of_headers, all) = match line.numbers {
        [all, _] if numbers == 1 => (0, all),
        [headers, all] => (headers, all),
    };
    if of_headers > all || all > MESSAGE_MAX {
        return Err(NotNats);
    }
    let block = end + LINE_END..end + LINE_END + of_headers;
    let payload = block.end..end + LINE_END + all;
    let length = payload.end + LINE_END;
    if input.len() < length {
        // In one step, and not as often as it grows.
        let missing = length - input.len();
        input.reserve(missing);
        return Ok(None);
    }
    let subscription = line.subscription;
    let usual = of_headers == 0 || is_usual(&input[block.clone()]);
    let flaw = line.flaw();
    if usual && flaw.is_none() {
        let headers = lines_of(block);
        let places = Places { subject: line.subject, reply: line.reply, headers, payload };
        let message = Message::within(input.split_to(length).freeze(), places, 0);
        if length > LARGE {
            *input = BytesMut::from(&input[..]);
        }
        return Ok(Some(Frame::Message { subscription, message, flaw: None }));
    }
    let (status, lines) = if usual {
        (0, input[lines_of(block.clone())].to_vec())
    } else {
        headers::readable(&input[block.clone()])
    };
    let flaw = flaw.or_else(|| if usual { None } else { headers::flaw(&input[block]) });
    let message = Message::of_parts(&line.subject(), &line.reply(), status, &lines, &input[payload]);
    input.advance(length);
    Ok(Some(Frame::Message { subscription, message, flaw }))
}

/// The headers of a usual block, without its version and the empty line at its end.
fn lines_of(block: Range<usize>) -> Range<usize> {
    if block.is_empty() { block } else { block.start + VERSION..block.end - LINE_END }
}

#[cfg(test)]
mod tests;
