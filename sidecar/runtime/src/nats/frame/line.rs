//! The line of a message: its subject, its subscription, the subject for its reply, and numbers of
//! bytes.

use std::ops::Range;

use memchr::{memchr, memchr_iter};

use super::{NotNats, plain::is_visible};

/// The arguments of a message's line.
pub(super) struct Line<'l> {
    text: &'l [u8],
    /// The place of the subject.
    pub subject: Range<usize>,
    /// The number of the subscription.
    pub subscription: u64,
    /// The place of the subject for a reply. A message that wants no reply has an empty one.
    pub reply: Range<usize>,
    /// One or two numbers of bytes.
    pub numbers: [usize; 2],
}

impl<'l> Line<'l> {
    /// Reads the arguments, which begin at `from` and end with so many numbers.
    pub fn read(text: &'l [u8], from: usize, numbers: usize) -> Result<Self, NotNats> {
        let mut words: [Range<usize>; 5] = Default::default();
        let (mut count, mut from) = (0, from);
        let arguments = text.get(from..).ok_or(NotNats)?;
        let begin = from;
        for end in memchr_iter(b' ', arguments).map(|at| begin + at).chain([text.len()]) {
            if end > from {
                *words.get_mut(count).ok_or(NotNats)? = from..end;
                count += 1;
            }
            from = end + 1;
        }
        if count != 2 + numbers && count != 3 + numbers {
            return Err(NotNats);
        }
        let first = count - numbers;
        let mut read = [0; 2];
        for (place, word) in read.iter_mut().zip(&words[first..count]) {
            *place = usize::try_from(number(&text[word.clone()])?).map_err(|_| NotNats)?;
        }
        let [subject, subscription, reply, ..] = words;
        let subscription = number(&text[subscription])?;
        let reply = if first == 3 { reply } else { 0..0 };
        Ok(Self { text, subject, subscription, reply, numbers: read })
    }

    /// The reason why its subjects cannot be taken as they are.
    pub fn flaw(&self) -> Option<&'static str> {
        let mut odd = [&self.subject, &self.reply].into_iter().map(|place| &self.text[place.clone()]);
        odd.find_map(|subject| match str::from_utf8(subject) {
            _ if is_visible(subject) => None,
            Err(_) => Some("its subject is not UTF-8"),
            // Some take any of Unicode's spaces for the end of a subject, the server four of them.
            Ok(text) if text.contains(char::is_whitespace) => Some("its subject has a space in it"),
            Ok(_) => None,
        })
    }

    /// The subject, as far as it can be written.
    pub fn subject(&self) -> String {
        writable(&self.text[self.subject.clone()])
    }

    /// The subject for a reply, as far as it can be written.
    pub fn reply(&self) -> String {
        writable(&self.text[self.reply.clone()])
    }
}

/// A number in decimals.
fn number(word: &[u8]) -> Result<u64, NotNats> {
    let digit = |number: u64, byte: u8| {
        let digit = u64::from(byte.is_ascii_digit().then(|| byte - b'0')?);
        number.checked_mul(10)?.checked_add(digit)
    };
    word.iter().try_fold(0, |number, byte| digit(number, *byte)).ok_or(NotNats)
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
