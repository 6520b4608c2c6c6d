use proptest::prelude::*;
use tpro_wire::{Protocol, ReplyState, Status};

#[test]
fn words_come_back() {
    for protocol in [Protocol::JsonRpc, Protocol::Json] {
        assert_eq!(protocol.to_string().parse(), Ok(protocol));
    }
    for status in Status::ALL {
        assert_eq!(status.to_string().parse(), Ok(status));
    }
    for state in [ReplyState::Working, ReplyState::Overloaded, ReplyState::Stale] {
        assert_eq!(state.to_string().parse(), Ok(state));
    }
    assert_eq!(format!("{:<8}|", Status::Ok), "ok      |");
}

proptest! {
    #[test]
    fn other_words_are_refused(text in any::<String>()) {
        prop_assert!(text.parse::<Protocol>().is_err() || ["jsonrpc", "json"].contains(&text.as_str()));
        prop_assert!(text.parse::<Status>().is_err() || Status::ALL.iter().any(|status| status.as_str() == text));
        prop_assert!(text.parse::<ReplyState>().is_err() || text.len() > 4);
    }
}
