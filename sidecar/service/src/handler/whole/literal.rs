//! The numbers of a JSON text, as they are written.

/// A number of so few characters, and without an exponent, is no trouble to a double, which keeps
/// 15 digits.
const SHORT: usize = 15;
/// More digits than any double has.
const MOST_DIGITS: usize = 800;

/// A number as it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Literal<'a>(&'a str);

/// The numbers of a JSON text that may be more than a double can hold.
pub(super) fn literals(json: &str) -> impl Iterator<Item = Literal<'_>> {
    let bytes = json.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let start = at;
            match bytes[at] {
                b'"' => at = end_of_text(bytes, at + 1),
                b'-' | b'0'..=b'9' => {
                    let more = bytes[at..].iter().position(|b| !is_of_number(*b));
                    at = more.map_or(bytes.len(), |more| at + more);
                    // Of ASCII characters only, so that it ends where a character does.
                    let literal = Literal(&json[start..at]);
                    if literal.is_long() {
                        return Some(literal);
                    }
                }
                _ => at += 1,
            }
        }
        None
    })
}

/// The place after a text that begins before `at`.
fn end_of_text(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')
}

impl Literal<'_> {
    fn is_long(self) -> bool {
        self.0.len() > SHORT || self.0.contains(['e', 'E'])
    }

    /// The nearest double; none if there is none.
    pub(super) fn double(self) -> Option<f64> {
        self.0.parse().ok().filter(|double: &f64| double.is_finite())
    }

    /// True if the number comes back from a type that takes any JSON: 64 bits of integer are kept,
    /// everything else becomes a double.
    pub(super) fn survives_any(self, double: f64) -> bool {
        let is_integer = self.is_whole() && (self.0.parse::<u64>().is_ok() || self.0.parse::<i64>().is_ok());
        is_integer || self.survives_double(double)
    }

    /// True if the number is this double. A whole number may be an id, so each of its digits
    /// counts, and it must come back with them. A fraction has as many digits as its author thought
    /// a double has.
    pub(super) fn survives_double(self, double: f64) -> bool {
        if self.is_shortest_of(double) {
            return true;
        }
        let Some(ours) = Decimal::of(self.0).filter(|_| !self.is_whole()) else { return false };
        let digits = ours.digits.len();
        digits <= MOST_DIGITS && Decimal::of(&format!("{double:.*e}", digits.saturating_sub(1))) == Some(ours)
    }

    fn is_shortest_of(self, double: f64) -> bool {
        Decimal::of(self.0) == Decimal::of(&format!("{double:e}"))
    }

    fn is_whole(self) -> bool {
        !self.0.contains(['.', 'e', 'E'])
    }
}

/// A number without its way of writing: sign, digits without zeros around them, and the power of
/// ten of the first.
#[derive(Debug, PartialEq)]
pub(super) struct Decimal {
    negative: bool,
    digits: String,
    power: i64,
}

impl Decimal {
    pub(super) fn of(text: &str) -> Option<Self> {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let zeros = all.len() - all.trim_start_matches('0').len();
        let digits = all.trim_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { negative: false, digits, power: 0 });
        }
        let power =
            exponent.checked_add(i64::try_from(whole.len()).ok()? - i64::try_from(zeros).ok()? - 1)?;
        Some(Self { negative, digits, power })
    }
}
