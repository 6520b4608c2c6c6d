//! Bytes that need no closer look: a message of our own consists of them, and is passed for a few
//! instructions a header.

use memchr::memchr_iter;

/// True if all of them are visible characters of ASCII.
pub(super) fn is_visible(bytes: &[u8]) -> bool {
    // Without an early end, so that many bytes are looked at in one step.
    bytes.iter().fold(true, |visible, byte| visible & byte.is_ascii_graphic())
}

/// True if this is a block of headers as clients write it: a version without a status, and headers
/// of a line each, in ASCII. Other blocks can be readable, too.
pub(super) fn is_usual(block: &[u8]) -> bool {
    let lines = block.strip_prefix(b"NATS/1.0\r\n").and_then(|lines| lines.strip_suffix(b"\r\n"));
    let Some(lines) = lines else { return false };
    // Printable signs and line ends, each of two bytes: in one step for many bytes again.
    let plain = block.iter().zip(&block[1..]).fold(true, |plain, (byte, next)| {
        let is_sign = matches!(next, b' '..=b'~') | (*next == b'\r') | (*next == b'\n');
        plain & is_sign & ((*byte == b'\r') == (*next == b'\n'))
    });
    let mut from = 0;
    for end in memchr_iter(b'\n', lines) {
        // A line that goes on with the value before it begins with a space, which no name has.
        match lines[from..end].iter().find(|byte| matches!(byte, b':' | b' ')) {
            Some(b':') => from = end + 1,
            _ => return false,
        }
    }
    plain && from == lines.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::headers::flaw;
    use super::*;

    proptest! {
        #[test]
        fn what_is_usual_has_no_flaw(
            block in "NATS/1.0(\\PC{0,2})(\r\n[!-~ é]{0,3}:?[ -~é\t\r\n]{0,4}){0,4}(\r\n){0,2}",
        ) {
            prop_assert!(!is_usual(block.as_bytes()) || flaw(block.as_bytes()).is_none());
        }
    }

    #[test]
    fn what_clients_write_is_usual_and_what_needs_a_look_is_not() {
        for usual in ["NATS/1.0\r\n\r\n", "NATS/1.0\r\nA: b\r\nC:d:e\r\nF:\r\n\r\n"] {
            assert!(is_usual(usual.as_bytes()), "{usual:?}");
        }
        let others: [&[u8]; 10] = [
            b"",
            b"NATS/1.0",
            b"NATS/1.0\r\n",
            b"NATS/1.0 503\r\n\r\n",
            b"NATS/1.0\r\nA: b\r\n",
            b"NATS/1.0\r\nA: b\r\n c\r\n\r\n",
            b"NATS/1.0\r\nA: b\rc\r\n\r\n",
            b"NATS/1.0\r\nA: b\nc\r\n\r\n",
            b"NATS/1.0\r\nno colon\r\n\r\n",
            b"NATS/1.0\r\nA: caf\xc3\xa9\r\n\r\n",
        ];
        for other in others {
            assert!(!is_usual(other), "{}", other.escape_ascii());
        }
        assert!(is_visible(b"tpro.a.b") && is_visible(b"") && !is_visible(b"a b") && !is_visible(b"\x7f"));
    }
}
