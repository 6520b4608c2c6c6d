//! Headers to be sent.

/// The first line of headers on the wire.
const VERSION: &[u8] = b"NATS/1.0\r\n";
const LINE_END: &[u8] = b"\r\n";

/// Headers to be sent, as they go on the wire. Without any header none go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block(Vec<u8>);

impl Block {
    /// The headers of these names and values.
    pub fn of<V: AsRef<str>>(pairs: impl IntoIterator<Item = (&'static str, V)>) -> Self {
        let mut block = Self::default();
        for (name, value) in pairs {
            block.add(name, value.as_ref());
        }
        block
    }

    /// Adds a header. A value that NATS cannot carry, one with a line break, is left out.
    pub fn add(&mut self, name: &str, value: &str) {
        if value.bytes().any(|byte| matches!(byte, b'\r' | b'\n')) {
            return;
        }
        for part in [name.as_bytes(), b": ", value.as_bytes(), LINE_END] {
            self.0.extend_from_slice(part);
        }
    }

    /// Adds a header whose value is a number.
    pub fn add_number(&mut self, name: &str, number: u64) {
        self.add(name, Digits::of(number).as_str());
    }

    /// Forgets all headers and keeps the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The lines, each with its end.
    pub(super) fn lines(&self) -> &[u8] {
        &self.0
    }

    /// The bytes on the wire.
    pub(super) fn wire_len(&self) -> usize {
        if self.0.is_empty() { 0 } else { VERSION.len() + self.0.len() + LINE_END.len() }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for part in [VERSION, &self.0, LINE_END] {
            out.extend_from_slice(part);
        }
    }
}

/// The decimal digits of a number, without an allocation.
pub(super) struct Digits {
    digits: [u8; 20],
    from: usize,
}

impl Digits {
    pub fn of(mut number: u64) -> Self {
        let mut digits = [b'0'; 20];
        let mut from = digits.len() - 1;
        loop {
            digits[from] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Self { digits, from };
            }
            from -= 1;
        }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.digits[self.from..]
    }

    fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_a_line_break_is_left_out() {
        let block = Block::of([("Tpro-Hops", "1"), ("Tpro-Source", "a\r\nb"), ("Tpro-Key", "a\nb")]);
        assert_eq!(block.lines(), b"Tpro-Hops: 1\r\n");
        let mut out = Vec::new();
        block.write(&mut out);
        assert_eq!((out.as_slice(), block.wire_len()), (&b"NATS/1.0\r\nTpro-Hops: 1\r\n\r\n"[..], out.len()));
        assert_eq!(Block::default().wire_len(), 0);
    }

    #[test]
    fn numbers_are_written_in_decimals() {
        for number in [0, 7, 10, 15_000, u64::MAX] {
            assert_eq!(Digits::of(number).as_str(), number.to_string());
        }
    }
}
