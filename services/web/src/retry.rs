//! The next try: after which statuses there is one, and when.

use std::time::{Duration, SystemTime};

use tpro_sidecar::FromSetting;

/// The longest back-off in seconds. A random part of up to a half comes on top.
const LONGEST: u32 = 60;
/// The rule of the setting.
const RULE: &str = "must be statuses from 400 to 599 with commas between them, or none";

/// The statuses after which a request is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(Vec<u16>);

impl Statuses {
    /// These statuses; none if one is no status of an error.
    pub(crate) fn new(statuses: Vec<u16>) -> Option<Self> {
        statuses.iter().all(|status| (400..600).contains(status)).then_some(Self(statuses))
    }

    /// True if the status is among them.
    pub(crate) fn has(&self, status: u16) -> bool {
        self.0.contains(&status)
    }
}

impl FromSetting for Statuses {
    fn from_setting(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(Vec::new()));
        }
        let statuses: Result<Vec<u16>, _> = text.split(',').map(|status| status.trim().parse()).collect();
        statuses.ok().and_then(Self::new).ok_or_else(|| RULE.to_owned())
    }
}

/// The seconds that a server asks to wait: a number, or a date.
pub(crate) fn wished(retry_after: &str, now: SystemTime) -> Option<u32> {
    let text = retry_after.trim();
    if !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit()) {
        return Some(text.parse().unwrap_or(u32::MAX));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let wait = date.duration_since(now).unwrap_or_default();
    // Not a moment too early.
    let seconds = wait.as_secs() + u64::from(wait > Duration::from_secs(wait.as_secs()));
    Some(u32::try_from(seconds).unwrap_or(u32::MAX))
}

/// The seconds before the next try, where no server asks for a time. It doubles with each attempt,
/// and messages that failed together do not come back together: each has a part by its uid.
pub(crate) fn back_off(attempt: u32, uid: &str) -> u32 {
    let seconds = 1u32.checked_shl(attempt.saturating_sub(1)).map_or(LONGEST, |wait| wait.clamp(1, LONGEST));
    // FNV-1a; its upper half, since the lower one of short texts is not spread.
    let mixed = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = uid.bytes().fold(0x811c_9dc5, mixed) >> 16;
    seconds + hash % (seconds / 2 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_those_of_errors() {
        let statuses = Statuses::from_setting("429, 503").unwrap();
        assert!(statuses.has(429) && statuses.has(503) && !statuses.has(500));
        assert!(!Statuses::from_setting("none").unwrap().has(503));
        for text in ["200", "429;503", "all", ",", "600"] {
            assert_eq!(Statuses::from_setting(text), Err(RULE.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_server_says_when_to_ask_again_in_seconds_or_by_a_date() {
        let now = httpdate::parse_http_date("Mon, 30 Nov 2026 12:00:00 GMT").unwrap();
        assert_eq!(wished("120", now), Some(120));
        assert_eq!(wished(" 0 ", now), Some(0));
        assert_eq!(wished("99999999999", now), Some(u32::MAX));
        assert_eq!(wished("Mon, 30 Nov 2026 12:01:00 GMT", now), Some(60));
        assert_eq!(wished("Mon, 30 Nov 2026 12:01:00 GMT", now + Duration::from_millis(1)), Some(60));
        assert_eq!(wished("Mon, 30 Nov 2026 11:00:00 GMT", now), Some(0));
        for text in ["", "soon", "-1", "1.5"] {
            assert_eq!(wished(text, now), None, "{text}");
        }
    }

    #[test]
    fn the_back_off_doubles_up_to_a_bound() {
        let uid = "0199e1f4-7c1e-7000-8000-000000000001";
        for (attempt, seconds) in
            [(0, 1), (1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60), (40, 60)]
        {
            let wait = back_off(attempt, uid);
            assert!((seconds..=seconds + seconds / 2).contains(&wait), "{attempt}: {wait}");
            assert_eq!(wait, back_off(attempt, uid));
        }
        let waits: std::collections::BTreeSet<_> =
            (0..50).map(|n| back_off(7, &format!("uid {n}"))).collect();
        assert!(waits.len() > 10, "{waits:?}");
    }
}
