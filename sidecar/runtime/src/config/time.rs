//! A time as it is written in a setting.

use std::time::Duration;

/// `90`, `500ms`, `25s`, `15m`, `2h` or `2d`; a number without a unit counts `bare`.
pub(super) fn duration(text: &str, bare: Duration) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim_start() {
        "" => bare,
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        "d" => Duration::from_secs(86_400),
        _ => return None,
    };
    unit.checked_mul(number.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_or_the_units_of_its_key() {
        let second = Duration::from_secs(1);
        assert_eq!(duration("25", second), Some(Duration::from_secs(25)));
        assert_eq!(duration("25", Duration::from_millis(1)), Some(Duration::from_millis(25)));
        assert_eq!(duration("500ms", second), Some(Duration::from_millis(500)));
        assert_eq!(duration("2 d", second), Some(Duration::from_secs(172_800)));
        for bad in ["", "s", "-1", "1.5", "1w", "99999999999d", "1 s s"] {
            assert_eq!(duration(bad, second), None, "{bad}");
        }
    }
}
