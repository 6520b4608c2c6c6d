use proptest::prelude::*;
use tpro_wire::{Protocol, ReplyState, Status, Version, Versions};

#[test]
fn words_come_back() {
    for protocol in [Protocol::JsonRpc, Protocol::Json] {
        assert_eq!(protocol.to_string().parse(), Ok(protocol));
    }
    for status in Status::ALL {
        assert_eq!(status.to_string().parse(), Ok(status));
    }
    for state in [
        ReplyState::Working,
        ReplyState::Overloaded,
        ReplyState::Stale,
        ReplyState::Unsupported,
        ReplyState::Later,
    ] {
        assert_eq!(state.to_string().parse(), Ok(state));
    }
    assert_eq!(format!("{:<8}|", Status::Ok), "ok      |");
}

#[test]
fn ranges_of_versions_are_one_number_or_two_in_order() {
    let version = |number| Version::new(number).expect("it is not 0");
    let range = |oldest, newest| Versions { oldest: version(oldest), newest: version(newest) };
    for (text, versions) in [("1", range(1, 1)), ("1-2", range(1, 2)), ("7-65535", range(7, 65_535))] {
        assert_eq!(text.parse(), Ok(versions));
        assert_eq!(versions.to_string(), text);
    }
    for text in ["", "-", "0", "0-1", "2-1", "1-", "-1", "1-2-3", "1 - 2", "1-65536"] {
        assert!(text.parse::<Versions>().is_err(), "{text:?}");
    }
    assert!(range(2, 3).contain(version(3)) && !range(2, 3).contain(version(1)));
}

proptest! {
    #[test]
    fn other_words_are_refused(text in any::<String>()) {
        prop_assert!(text.parse::<Protocol>().is_err() || ["jsonrpc", "json"].contains(&text.as_str()));
        prop_assert!(text.parse::<Status>().is_err() || Status::ALL.iter().any(|status| status.as_str() == text));
        prop_assert!(text.parse::<ReplyState>().is_err() || text.len() > 4);
    }
}
