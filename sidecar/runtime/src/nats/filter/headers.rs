//! The headers of a message, judged as the client library reads them.

use super::plain::is_usual;

/// The beginning of a block.
const VERSION: &str = "NATS/1.0";

/// The part of a block of headers that the client cannot read.
pub(super) fn flaw(block: &[u8]) -> Option<&'static str> {
    if is_usual(block) { None } else { flaw_of_odd(block) }
}

/// [`flaw`] of any block, line by line.
pub(super) fn flaw_of_odd(block: &[u8]) -> Option<&'static str> {
    let Ok(text) = str::from_utf8(block) else { return Some("its headers are not UTF-8") };
    let mut lines = text.lines();
    match lines.next().and_then(|first| first.strip_prefix(VERSION)) {
        None => return Some("its headers have no version"),
        Some(status) if !is_status(status) => return Some("its status is no number of three digits"),
        Some(_) => {}
    }
    let mut goes_on = false;
    for line in lines {
        // A line that begins with a space goes on with the value before it.
        let header = !(goes_on && line.starts_with(char::is_whitespace));
        goes_on = !line.is_empty();
        if line.contains('\r') {
            // The client does not only end the connection at it: its task panics.
            return Some("a value of its headers has a carriage return in it");
        }
        if goes_on && header && header_of(line).is_none() {
            return Some("a line of its headers has no name, or a name with other signs than ASCII's");
        }
    }
    None
}

/// True if nothing follows the version, or a status and its description.
fn is_status(text: &str) -> bool {
    let text = text.trim();
    let status = text.split_once(' ').map_or(text, |(status, _)| status.trim()).as_bytes();
    match status {
        [] => true,
        [first, rest @ ..] => {
            rest.len() == 2 && (b'1'..=b'9').contains(first) && rest.iter().all(u8::is_ascii_digit)
        }
    }
}

/// The name in a line of headers.
fn header_of(line: &str) -> Option<&str> {
    let (name, _) = line.split_once(':')?;
    name.bytes().all(|byte| byte.is_ascii_graphic()).then_some(name)
}

/// The readable headers of a block.
pub(super) fn readable(block: &[u8]) -> Vec<u8> {
    let mut lines = block.split(|byte| *byte == b'\n').map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (line, str::from_utf8(line).ok().filter(|text| !text.contains('\r')))
    });
    let first = lines.next().and_then(|(_, text)| text).unwrap_or_default();
    let version = first.strip_prefix(VERSION).filter(|status| is_status(status)).map_or(VERSION, |_| first);
    let mut headers: Vec<Option<String>> = Vec::new();
    for (line, text) in lines.filter(|(line, _)| !line.is_empty()) {
        let spaced = text.map_or(line.starts_with(b" "), |text| text.starts_with(char::is_whitespace));
        match headers.last_mut().filter(|_| spaced) {
            // A value with a part that cannot be read is no value.
            Some(header) => *header = header.take().zip(text).map(|(header, text)| header + "\r\n" + text),
            None => headers.push(text.filter(|text| header_of(text).is_some()).map(str::to_owned)),
        }
    }
    let mut readable = format!("{version}\r\n");
    headers.into_iter().flatten().for_each(|header| readable.extend([header.as_str(), "\r\n"]));
    readable.push_str("\r\n");
    readable.into_bytes()
}
