//! The size, depth and elements of a `jsonb` value, told from its binary form.
//!
//! PostgreSQL writes a `jsonb` in one way only, so the length of its text follows from the length
//! of its parts. A walk over them costs a fraction of writing the text. The size of the binary form
//! is no measure: `1e130000` takes ten bytes there, and 130,001 as text.
//!
//! The binary form is that of `src/include/utils/jsonb.h` and `src/backend/utils/adt/numeric.c` of
//! PostgreSQL 9.4 to 18.

use crate::limits::MAX_DEPTH;
use crate::shape::Shape;

/// The parts of a container's header: the number of entries, and the flags for a bare value, an
/// object and an array.
const COUNT: u32 = 0x0FFF_FFFF;
const SCALAR: u32 = 0x1000_0000;
const OBJECT: u32 = 0x2000_0000;
const ARRAY: u32 = 0x4000_0000;

/// The parts of an entry: a length or the end of its data, the flag that tells which of both, and
/// the type.
const LENGTH: u32 = 0x0FFF_FFFF;
const IS_END: u32 = 0x8000_0000;
const TYPE: u32 = 0x7000_0000;
const STRING: u32 = 0x0000_0000;
const NUMERIC: u32 = 0x1000_0000;
const FALSE: u32 = 0x2000_0000;
const TRUE: u32 = 0x3000_0000;
const NULL: u32 = 0x4000_0000;
const CONTAINER: u32 = 0x5000_0000;

/// Measures a root container: a `jsonb` without the length that every variable-sized value begins
/// with. None if its form is unknown. Deeper than [`MAX_DEPTH`] it does not look: the shape then
/// has one level more, and fewer bytes.
pub fn shape(root: &[u8]) -> Option<Shape> {
    let header = word(root, 0)?;
    let mut deepest = 0;
    let bytes = container(root, 1, &mut deepest)?;
    let structured = header & SCALAR == 0;
    // A bare value is stored as an array of one.
    Some(Shape { bytes, depth: if structured { deepest } else { 0 }, structured })
}

/// The number of elements of a root container that is an array of objects and arrays; none for
/// another value. It looks at the types of the elements, and not into them.
pub fn structured_elements(root: &[u8]) -> Option<usize> {
    let header = word(root, 0)?;
    let count = usize::try_from(header & COUNT).ok()?;
    if header & (SCALAR | ARRAY) != ARRAY || root.len() / 4 < count {
        return None;
    }
    let is_structured = |at| word(root, 4 + 4 * at).is_some_and(|entry| entry & TYPE == CONTAINER);
    (0..count).all(is_structured).then_some(count)
}

/// Bytes of a container's text.
fn container(at: &[u8], depth: usize, deepest: &mut usize) -> Option<usize> {
    *deepest = (*deepest).max(depth);
    if depth > MAX_DEPTH {
        return Some(0);
    }
    let header = word(at, 0)?;
    let count = usize::try_from(header & COUNT).ok()?;
    let entries = match header & (OBJECT | ARRAY) {
        OBJECT => count.checked_mul(2)?,
        ARRAY => count,
        _ => return None,
    };
    let data = at.get(4 + entries.checked_mul(4)?..)?;
    let mut bytes = 0usize;
    let mut start = 0usize;
    for entry in 0..entries {
        let entry = word(at, 4 + 4 * entry)?;
        let length = usize::try_from(entry & LENGTH).ok()?;
        let end = if entry & IS_END == 0 { start.checked_add(length)? } else { length };
        bytes += match entry & TYPE {
            STRING => string(data.get(start..end)?),
            NUMERIC => number(data.get(aligned(start)..end)?)?,
            FALSE => 5,
            TRUE | NULL => 4,
            CONTAINER => container(data.get(aligned(start)..end)?, depth + 1, deepest)?,
            _ => return None,
        };
        start = end;
    }
    if header & SCALAR != 0 {
        return Some(bytes);
    }
    // Brackets, `, ` between members, and `: ` behind each key of an object.
    let between = 2 * count.saturating_sub(1);
    let keys = if header & OBJECT != 0 { 2 * count } else { 0 };
    Some(bytes + 2 + between + keys)
}

/// Bytes of a text in quotes, with its escapes.
fn string(text: &[u8]) -> usize {
    let escaped: usize = text
        .iter()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\x08' | b'\x0c' | b'\n' | b'\r' | b'\t' => 1,
            0..=0x1f => 5,
            _ => 0,
        })
        .sum();
    text.len() + escaped + 2
}

/// Bytes of a number. Its digits are of base 10,000; the weight is the power of the first.
fn number(value: &[u8]) -> Option<usize> {
    // A length of one byte is not written within a jsonb.
    let short_length =
        if cfg!(target_endian = "little") { value.first()? & 1 } else { value.first()? & 0x80 };
    if short_length != 0 {
        return None;
    }
    let header = half(value, 4)?;
    let (negative, scale, weight, digits) = match header & 0xC000 {
        0xC000 => return None,
        0x8000 => {
            let low = i32::from(header & 0x3F);
            let weight = if header & 0x40 == 0 { low } else { low - 64 };
            (header & 0x2000 != 0, (header & 0x1F80) >> 7, weight, 6)
        }
        sign => (sign == 0x4000, header & 0x3FFF, i32::from(half(value, 6)?.cast_signed()), 8),
    };
    let whole = match (weight, half(value, digits)) {
        // Zero has no digits.
        (_, None) => 1,
        (..0, _) => 1,
        (weight, Some(first)) => 4 * usize::try_from(weight).ok()? + decimals(first),
    };
    let fraction = if scale == 0 { 0 } else { 1 + usize::from(scale) };
    Some(usize::from(negative) + whole + fraction)
}

/// Decimal digits of the first digit of base 10,000.
fn decimals(digit: u16) -> usize {
    match digit {
        1000.. => 4,
        100.. => 3,
        10.. => 2,
        _ => 1,
    }
}

/// Numbers and containers begin at a multiple of four.
fn aligned(offset: usize) -> usize {
    offset.next_multiple_of(4)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_of_the_form_is_not_measured() {
        assert_eq!(shape(&[]), None);
        assert_eq!(shape(&[1, 2, 3]), None);
        assert_eq!(shape(&(ARRAY | 3).to_ne_bytes()), None);
        assert_eq!(shape(&u32::MAX.to_ne_bytes()), None);
    }

    #[test]
    fn the_elements_of_an_array_are_counted_if_all_are_objects_or_arrays() {
        let root = |words: &[u32]| words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>();
        assert_eq!(structured_elements(&root(&[ARRAY])), Some(0));
        assert_eq!(
            structured_elements(&root(&[ARRAY | 2, CONTAINER | 4, CONTAINER | 4, OBJECT, ARRAY])),
            Some(2)
        );
        for other in [
            vec![ARRAY | 2, CONTAINER | 4, TRUE, OBJECT],
            vec![ARRAY | 1, NULL],
            vec![ARRAY | SCALAR | 1, NULL],
            vec![OBJECT],
            vec![ARRAY | COUNT, CONTAINER],
            vec![],
        ] {
            assert_eq!(structured_elements(&root(&other)), None, "{other:?}");
        }
    }

    #[test]
    fn an_empty_object_and_an_array_of_constants_are_measured() {
        assert_eq!(shape(&OBJECT.to_ne_bytes()), Some(Shape { bytes: 2, depth: 1, structured: true }));
        let array: Vec<u8> =
            [ARRAY | 3, TRUE, FALSE, NULL].iter().flat_map(|word: &u32| word.to_ne_bytes()).collect();
        let text = "[true, false, null]";
        assert_eq!(shape(&array), Some(Shape { bytes: text.len(), depth: 1, structured: true }));
    }
}
