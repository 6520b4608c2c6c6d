use std::time::Duration;

use proptest::prelude::*;
use tpro_wire::Budget;

#[test]
fn a_timeout_is_at_most_a_day_and_zero_is_an_event() {
    assert!(Budget::from_seconds(0).unwrap().is_event());
    assert!(!Budget::from_seconds(1).unwrap().is_event());
    assert_eq!(Budget::from_seconds(15).unwrap().ms(), 15_000);
    assert_eq!(Budget::from_seconds(86_400), Ok(Budget::MAX));
    assert!(Budget::from_seconds(86_401).is_err());
    assert!(Budget::from_seconds(-1).is_err());
    assert!(Budget::from_seconds(i32::MIN).is_err());
}

#[test]
fn a_header_is_digits_and_nothing_else() {
    assert_eq!(Budget::parse_ms("1500").unwrap().duration(), Duration::from_millis(1500));
    assert_eq!(Budget::parse_ms("0").unwrap().ms(), 0);
    assert_eq!(Budget::parse_ms("86400001"), Some(Budget::MAX));
    assert_eq!(Budget::parse_ms("99999999999999999999999999"), Some(Budget::MAX));
    for text in ["", " ", "+1", "-1", "1.5", "1e3", " 1", "1 ", "0x1", "١"] {
        assert_eq!(Budget::parse_ms(text), None, "{text:?}");
    }
}

#[test]
fn what_is_spent_is_gone_and_never_below_zero() {
    let budget = Budget::from_seconds(2).unwrap();
    assert_eq!(budget.minus(Duration::from_millis(500)).ms(), 1500);
    assert_eq!(budget.minus(Duration::from_secs(3)).ms(), 0);
    assert_eq!(Budget::from_duration(Duration::MAX), Budget::MAX);
}

proptest! {
    #[test]
    fn milliseconds_come_back(ms in 0u64..=86_400_000) {
        let budget = Budget::from_duration(Duration::from_millis(ms));
        prop_assert_eq!(Budget::parse_ms(&budget.ms().to_string()), Some(budget));
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>(), seconds in any::<i32>()) {
        let _ = Budget::parse_ms(&text);
        prop_assert_eq!(Budget::from_seconds(seconds).is_ok(), (0..=86_400).contains(&seconds));
    }
}
