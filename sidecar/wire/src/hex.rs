//! Bytes as small hex digits.

/// Fills `into` from hex digits, exactly. Only small letters are taken, since Trace Context forbids
/// capital ones.
pub fn take_hex(text: &[u8], into: &mut [u8]) -> Option<()> {
    if text.len() != into.len() * 2 {
        return None;
    }
    // Looked at together at the end: a branch for each digit costs more than the digit.
    let mut all = 0;
    for (byte, pair) in into.iter_mut().zip(text.chunks_exact(2)) {
        let (high, low) = (VALUES[usize::from(pair[0])], VALUES[usize::from(pair[1])]);
        all |= high | low;
        *byte = high << 4 | low;
    }
    (all != NONE).then_some(())
}

/// The value of a byte that is no digit. It is the largest, so that others do not hide it.
const NONE: u8 = 0xff;

/// The values of the digits, by byte.
const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut value = 0;
    while value < 16 {
        values[DIGITS[value] as usize] = value as u8;
        value += 1;
    }
    values
};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Writes two digits per byte; `into` is twice as long as `bytes`.
pub(crate) fn put_hex(bytes: &[u8], into: &mut [u8]) {
    for (pair, byte) in into.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

/// The bytes as hex digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = vec![0; bytes.len() * 2];
    put_hex(bytes, &mut text);
    String::from_utf8(text).unwrap_or_default()
}
