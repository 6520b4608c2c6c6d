//! A block of headers that is not written as clients write it.

/// The beginning of a block.
const VERSION: &str = "NATS/1.0";

/// The part of a block of headers that cannot be read.
pub(super) fn flaw(block: &[u8]) -> Option<&'static str> {
    let Ok(text) = str::from_utf8(block) else { return Some("its headers are not UTF-8") };
    let mut lines = text.lines();
    match lines.next().and_then(|first| first.strip_prefix(VERSION)) {
        None => return Some("its headers have no version"),
        Some(text) if status_of(text).is_none() => return Some("its status is no number of three digits"),
        Some(_) => {}
    }
    let mut goes_on = false;
    for line in lines {
        // A line that begins with a space goes on with the value before it.
        let header = !(goes_on && line.starts_with(char::is_whitespace));
        goes_on = !line.is_empty();
        if line.contains('\r') {
            return Some("a value of its headers has a carriage return in it");
        }
        if goes_on && header && !is_header(line) {
            return Some("a line of its headers has no name, or a name with other signs than ASCII's");
        }
    }
    None
}

/// The status behind the version: 0 if nothing is there. None if it is no status.
fn status_of(text: &str) -> Option<u16> {
    let text = text.trim();
    let status = text.split_once(' ').map_or(text, |(status, _)| status.trim());
    match status.as_bytes() {
        [] => Some(0),
        [b'1'..=b'9', rest @ ..] if rest.len() == 2 && rest.iter().all(u8::is_ascii_digit) => {
            status.parse().ok()
        }
        _ => None,
    }
}

/// True if a line has a name.
fn is_header(line: &str) -> bool {
    line.split_once(':').is_some_and(|(name, _)| name.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// The status of a block, and its readable headers, a line each with its end.
pub(super) fn readable(block: &[u8]) -> (u16, Vec<u8>) {
    let mut lines = block.split(|byte| *byte == b'\n').map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (line, str::from_utf8(line).ok().filter(|text| !text.contains('\r')))
    });
    let first = lines.next().and_then(|(_, text)| text).unwrap_or_default();
    let status = first.strip_prefix(VERSION).and_then(status_of).unwrap_or_default();
    let mut headers: Vec<Option<String>> = Vec::new();
    for (line, text) in lines.filter(|(line, _)| !line.is_empty()) {
        let spaced = text.map_or(line.starts_with(b" "), |text| text.starts_with(char::is_whitespace));
        match headers.last_mut().filter(|_| spaced) {
            // A value with a part that cannot be read is no value.
            Some(header) => *header = header.take().zip(text).map(|(header, text)| header + text),
            None => headers.push(text.filter(|text| is_header(text)).map(str::to_owned)),
        }
    }
    let mut readable = String::new();
    headers.into_iter().flatten().for_each(|header| readable.extend([header.as_str(), "\r\n"]));
    (status, readable.into_bytes())
}
