//! The line of a message: its subject, its subscription, the subject for its reply, and numbers of
//! bytes.

use memchr::{memchr, memchr_iter};

use super::{NotNats, plain::is_visible};

/// The arguments of a message's line.
pub(super) struct Line<'l> {
    subject: &'l [u8],
    sid: &'l [u8],
    reply: Option<&'l [u8]>,
    /// One or two numbers of bytes.
    pub numbers: [usize; 2],
}

impl<'l> Line<'l> {
    /// Reads a line that ends with so many numbers.
    pub fn read(arguments: &'l [u8], numbers: usize) -> Result<Self, NotNats> {
        let mut line = [&[][..]; 5];
        let (mut count, mut from) = (0, 0);
        for end in memchr_iter(b' ', arguments).chain([arguments.len()]) {
            if end > from {
                *line.get_mut(count).ok_or(NotNats)? = &arguments[from..end];
                count += 1;
            }
            from = end + 1;
        }
        if count != 2 + numbers && count != 3 + numbers {
            return Err(NotNats);
        }
        let first = count - numbers;
        let mut read = [0; 2];
        for (place, word) in read.iter_mut().zip(&line[first..count]) {
            *place = str::from_utf8(word).ok().and_then(|word| word.parse().ok()).ok_or(NotNats)?;
        }
        Ok(Self { subject: line[0], sid: line[1], reply: (first == 3).then_some(line[2]), numbers: read })
    }

    /// The part of it that the client cannot read.
    pub fn flaw(&self) -> Option<&'static str> {
        let words = [Some(self.subject), self.reply];
        let mut odd = words.into_iter().flatten().filter(|subject| !is_visible(subject));
        odd.find_map(|subject| match str::from_utf8(subject) {
            Err(_) => Some("its subject is not UTF-8"),
            // The client takes any of Unicode's spaces for the end of a subject, the server four of
            // them.
            Ok(text) if text.contains(char::is_whitespace) => Some("its subject has a space in it"),
            Ok(_) => None,
        })
    }

    /// The subject, as far as it can be written.
    pub fn subject(&self) -> String {
        writable(self.subject)
    }

    /// The line as the client can read it, with other numbers.
    pub fn write(&self, verb: &str, numbers: &[usize]) -> Vec<u8> {
        let mut line = format!("{verb} {} ", self.subject());
        line.push_str(&String::from_utf8_lossy(self.sid));
        if let Some(reply) = self.reply {
            line.push(' ');
            line.push_str(&writable(reply));
        }
        numbers.iter().for_each(|number| line.push_str(&format!(" {number}")));
        line.push_str("\r\n");
        line.into_bytes()
    }
}

/// A subject that can be written: bytes that are no text, and spaces, become U+FFFD, which no name
/// of ours has in it.
fn writable(subject: &[u8]) -> String {
    String::from_utf8_lossy(subject).replace(char::is_whitespace, "\u{FFFD}")
}

/// The end of the first line, without its line end.
pub(in crate::nats) fn line_end(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let end = from + memchr(b'\r', bytes.get(from..)?)?;
        match bytes.get(end + 1)? {
            b'\n' => return Some(end),
            _ => from = end + 1,
        }
    }
}
