use std::collections::HashMap;

use proptest::prelude::*;
use tpro_wire::headers::{self, RequestHeaders, is_language};
use tpro_wire::{MessageKey, Priority, Protocol, Source, Version, Versions};

use crate::support::{service, traceparent, uid, uuid};

fn read(pairs: &[(&str, &str)]) -> RequestHeaders {
    RequestHeaders::read(pairs.iter().copied())
}

/// Headers that all have this value.
fn read_all_as(text: &str) -> RequestHeaders {
    let names = [
        headers::TRACEPARENT,
        headers::TRACESTATE,
        headers::MSG_ID,
        headers::BUDGET_MS,
        headers::ATTEMPT,
        headers::SOURCE,
        headers::KEY,
        headers::HOPS,
        headers::CONTENT_LANGUAGE,
        headers::HEADERS,
        headers::PROTOCOL,
        headers::VERSION,
        "Other",
    ];
    RequestHeaders::read(names.map(|name| (name, text)))
}

#[test]
fn a_stranger_without_headers_is_served() {
    assert_eq!(read(&[]), RequestHeaders::default());
    assert_eq!(RequestHeaders::default().pairs().collect::<Vec<_>>(), [(headers::ATTEMPT, "1".to_owned())]);
}

#[test]
fn what_makes_no_sense_is_as_if_it_were_not_sent() {
    let read = read(&[
        (headers::TRACEPARENT, "00-nonsense"),
        (headers::TRACESTATE, "a=b"),
        (headers::MSG_ID, "42"),
        (headers::BUDGET_MS, "soon"),
        (headers::ATTEMPT, "-1"),
        (headers::SOURCE, "main"),
        (headers::KEY, "00112233445566778899AABBCCDDEEFF"),
        (headers::CONTENT_LANGUAGE, "*"),
        (headers::HEADERS, "[]"),
    ]);
    assert_eq!(read, RequestHeaders::default());
}

#[test]
fn of_a_header_that_comes_twice_the_first_value_counts() {
    let (one, other) = ("019108f7-0000-7000-8000-000000000001", "019108f7-0000-7000-8000-000000000000");
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (name, first, second) in [
        (headers::TRACEPARENT, trace, "00-4bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b7-00"),
        (headers::TRACESTATE, "a=b", "c=d"),
        (headers::MSG_ID, one, other),
        (headers::BUDGET_MS, "1", "2"),
        (headers::ATTEMPT, "1", "2"),
        (
            headers::SOURCE,
            "main/019108f7-0000-7000-8000-000000000000",
            "co/019108f7-0000-7000-8000-000000000000",
        ),
        (headers::KEY, "00112233445566778899aabbccddeeff", "11112233445566778899aabbccddeeff"),
        (headers::HOPS, "1", "2"),
        (headers::CONTENT_LANGUAGE, "ru-RU", "en"),
        (headers::HEADERS, "{}", r#"{"a":1}"#),
        (headers::PROTOCOL, "jsonrpc", "json"),
        (headers::VERSION, "2", "3"),
    ] {
        // A state is nothing without its trace.
        let with = |pairs: &[(&'static str, &str)]| {
            let trace = (name == headers::TRACESTATE).then_some((headers::TRACEPARENT, trace));
            RequestHeaders::read(trace.into_iter().chain(pairs.iter().copied()))
        };
        assert_eq!(with(&[(name, first), (name, second)]), with(&[(name, first)]), "{name}");
        assert_eq!(with(&[(name, "\u{1}"), (name, second)]), with(&[(name, "\u{1}")]), "{name}");
        assert_ne!(with(&[(name, second)]), with(&[(name, "\u{1}")]), "{name} is read at all");
    }
}

#[test]
fn a_broken_count_of_hops_does_not_get_around_the_limit() {
    assert_eq!(read(&[(headers::HOPS, "3")]).hops, 3);
    for text in ["", "-1", "+1", "99999999999", "many"] {
        assert_eq!(read(&[(headers::HOPS, text)]).hops, u32::MAX, "{text:?}");
    }
}

#[test]
fn a_broken_version_is_one_that_nobody_understands() {
    assert_eq!(read(&[]).version, Version::FIRST);
    assert_eq!(read(&[(headers::VERSION, "1")]).version, Version::FIRST);
    for text in ["", "0", "-1", "+1", "1.0", "99999", "new"] {
        let version = read(&[(headers::VERSION, text)]).version;
        assert!(!Versions::UNDERSTOOD.contain(version), "{text:?}");
    }
}

#[test]
fn a_priority_that_there_is_not_counts_as_none() {
    for (text, priority) in [("1", 1), ("3", 3), ("0", 0), ("4", 0), ("-1", 0), ("03", 0), ("high", 0)] {
        assert_eq!(read(&[(headers::PRIORITY, text)]).priority, Priority::of(priority), "{text:?}");
    }
}

#[test]
fn a_tracestate_without_its_traceparent_is_nothing() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(read(&[(headers::TRACESTATE, "a=b")]).tracestate, None);
    let both = read(&[(headers::TRACEPARENT, parent), (headers::TRACESTATE, "a=b")]);
    assert_eq!(both.tracestate.as_deref(), Some("a=b"));
    let broken = read(&[(headers::TRACEPARENT, parent), (headers::TRACESTATE, "a")]);
    assert!(broken.traceparent.is_some());
    assert_eq!(broken.tracestate, None);
}

#[test]
fn a_key_is_half_a_digest_and_shows_itself_only_on_the_wire() {
    let key = MessageKey::of(&std::array::from_fn(|n| n as u8));
    assert_eq!(key.to_string(), "000102030405060708090a0b0c0d0e0f");
    assert_eq!(key.to_string().parse(), Ok(key));
    assert_ne!("000102030405060708090a0b0c0d0e0e".parse(), Ok(key));
    for text in ["", "0001", "000102030405060708090A0B0C0D0E0F", "000102030405060708090a0b0c0d0e0f00"] {
        assert!(text.parse::<MessageKey>().is_err(), "{text:?}");
    }
    assert_eq!(format!("{key:?}"), "MessageKey(***)");
}

#[test]
fn languages_are_tags() {
    for text in ["ru-RU", "en", "zh-Hant-TW", "de-CH-1996", "i-klingon"] {
        assert!(is_language(text), "{text}");
    }
    for text in
        ["", "-", "ru-", "-ru", "ru_RU", "ru RU", "ru,en", "*", "1ru", "ruruururu", "ру", "ru\r\nX: y"]
    {
        assert!(!is_language(text), "{text:?}");
    }
    assert!(!is_language(&"a-".repeat(20)));
}

proptest! {
    #[test]
    fn headers_come_back(
        traceparent in proptest::option::of(traceparent()), uid in proptest::option::of(uid()),
        budget_ms in proptest::option::of(0u64..=86_400_000), attempt in any::<u32>(), hops in any::<u32>(),
        source in proptest::option::of((service(), uuid())), language in proptest::option::of("[a-z]{2}-[A-Z]{2}"),
        headers in proptest::option::of("\\{\"a\": \"[a-zé]{0,9}\"\\}"),
        json in any::<bool>(), version in 1u16.., key in proptest::option::of(any::<[u8; 32]>()),
        priority in 0i32..4,
    ) {
        let sent = RequestHeaders {
            traceparent, uid, budget_ms, attempt, hops, language, headers,
            priority: Priority::of(priority),
            version: Version::new(version).expect("it is not 0"),
            protocol: if json { Protocol::Json } else { Protocol::JsonRpc },
            tracestate: traceparent.map(|_| "a=b".to_owned()),
            source: source.map(|(service, instance)| Source { service, instance }),
            key: key.map(|hmac| MessageKey::of(&hmac)),
        };
        // A map has them in no order.
        let pairs: HashMap<_, _> = sent.pairs().collect();
        let read = RequestHeaders::read(pairs.iter().map(|(name, value)| (*name, value.as_str())));
        prop_assert_eq!(read, sent);
    }

    #[test]
    fn no_line_break_is_passed_on(text in "[{a-z=\\r\\n ]{0,12}") {
        let read = read_all_as(&text);
        prop_assert!(read.pairs().all(|(_, value)| !value.contains(['\r', '\n'])));
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>()) {
        let _ = read_all_as(&text);
    }
}
