use proptest::prelude::*;
use tpro_wire::limits::{MAX_BATCH, MAX_BODY, MAX_DEPTH, MAX_HEADERS};
use tpro_wire::rules::{self, Rule, RuleError};
use tpro_wire::shape::Shape;
use tpro_wire::{Protocol, Target};

use crate::support::{HOSTILE, json, name, word};

fn broken(result: Result<(), RuleError>) -> (&'static str, Rule) {
    let error = result.unwrap_err();
    (error.column, error.rule)
}

#[test]
fn the_three_statements_of_the_readme_are_taken() {
    let headers = r#"{"request": {"type": "single"}, "content-language": "ru-RU"}"#;
    let body = r#"{"ip": "172.19.0.8", "login": "login342", "password": "phnd26w"}"#;
    assert_eq!(rules::protocol("jsonrpc"), Ok(()));
    assert_eq!(rules::space_name("tpro"), Ok(()));
    assert_eq!(rules::service_name("analytic"), Ok(()));
    assert_eq!(rules::entity("example"), Ok(()));
    for method_name in [
        "simple",
        "request_with_parallel_queries",
        "request_with_parallel_queries_with_transit_on_external_service",
    ] {
        assert_eq!(rules::method_name(method_name), Ok(()));
    }
    assert_eq!(rules::timeout(15), Ok(()));
    assert_eq!(rules::headers(headers), Ok(()));
    assert_eq!(rules::body(Shape::of(body), MAX_BODY), Ok(()));
    assert_eq!(rules::body_for(Protocol::JsonRpc, Shape::of(body)), Ok(()));
}

#[test]
fn an_error_names_column_and_rule_and_shows_what_looks_like_a_token() {
    assert_eq!(
        rules::entity("a.b").unwrap_err().to_string(),
        r#"entity must match ^[A-Za-z0-9_-]{1,100}$, not "a.b""#
    );
    assert_eq!(rules::timeout(-5).unwrap_err().to_string(), "timeout must be 0 to 86400 seconds, not -5");
    assert_eq!(rules::protocol("xml\r\nFATAL:").unwrap_err().to_string(), "protocol must be jsonrpc or json");
    assert_eq!(rules::present::<&str>("entity", None).unwrap_err().to_string(), "entity must not be null");
    assert_eq!(rules::present("entity", Some(1)), Ok(1));
    for hidden in ["a b", "é", "{", "\"", "a.b.c.d.e.f.g.h.i.j.k.l.m", "user:password@host"] {
        assert_eq!(rules::entity(hidden).unwrap_err().shown, None, "{hidden}");
    }
}

#[test]
fn an_error_never_shows_a_body_or_headers() {
    let secret = r#"{"password":"canary"}"#;
    let deep = format!("{}\"canary\"{}", "[".repeat(200), "]".repeat(200));
    for error in [
        rules::body(Shape::of(secret), 3).unwrap_err(),
        rules::body(Shape::of(&deep), MAX_BODY).unwrap_err(),
        rules::body_for(Protocol::JsonRpc, Shape::of("\"canary\"")).unwrap_err(),
        rules::headers("[\"canary\"]").unwrap_err(),
        rules::headers(r#"{"request": {"type": "canary"}}"#).unwrap_err(),
        rules::headers(r#"{"request": "canary"}"#).unwrap_err(),
        rules::headers(r#"{"content-language": "canary canary"}"#).unwrap_err(),
        rules::headers(&format!(r#"{{"a": "canary{}"}}"#, "x".repeat(MAX_HEADERS))).unwrap_err(),
        rules::tracestate("canary").unwrap_err(),
    ] {
        assert_eq!(error.shown, None);
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}

#[test]
fn nothing_gets_into_a_subject_through_a_column() {
    for text in HOSTILE {
        assert_eq!(broken(rules::space_name(text)), ("space_name", Rule::Name), "{text:?}");
        assert_eq!(broken(rules::service_name(text)), ("service_name", Rule::Name), "{text:?}");
        assert_eq!(broken(rules::entity(text)), ("entity", Rule::Word), "{text:?}");
        assert_eq!(broken(rules::method_name(text)), ("method_name", Rule::Word), "{text:?}");
        assert_eq!(broken(rules::protocol(text)), ("protocol", Rule::Protocol), "{text:?}");
        assert_eq!(broken(rules::traceparent(text)), ("traceparent", Rule::TraceParent), "{text:?}");
        let plain = *text == "a.b";
        assert_eq!(rules::reply_to(text).is_ok(), plain, "{text:?}");
    }
}

#[test]
fn headers_hold_a_key_only_by_the_member_that_says_so() {
    assert!(rules::holds_key(r#"{"a": 1, "ordering": {"on_error": "hold"}}"#));
    for json in [
        "{}",
        r#"{"hold": 1}"#,
        r#"{"on_error": "hold"}"#,
        r#"{"ordering": "hold"}"#,
        r#"{"ordering": ["hold"]}"#,
        r#"{"ordering": {"on_error": "continue", "why": "hold"}}"#,
        r#"{"other": {"on_error": "hold"}, "ordering": {}}"#,
    ] {
        assert!(!rules::holds_key(json), "{json}");
    }
    assert_eq!(rules::held_key(true), Ok(()));
    assert_eq!(broken(rules::held_key(false)), ("ordering_key", Rule::HeldKey));
}

#[test]
fn headers_are_an_object_with_what_tpro_knows_in_order() {
    for json in [
        "{}",
        "{ }",
        r#"{"request": {}}"#,
        r#"{"request": null, "content-language": null}"#,
        r#"{"request": {"type": "single", "more": [1]}}"#,
        r#"{"request": {"type": "batch"}}"#,
        r#"{"content-language": "en"}"#,
        r#"{"ordering": {"on_error": "hold", "more": 1}}"#,
        r#"{"ordering": {"on_error": "continue"}}"#,
        r#"{"ordering": {"on_error": null}}"#,
        r#"{"ordering": "hold"}"#,
        r#"{"x": {"y": [1, 2, {"z": "\u0041"}]}}"#,
    ] {
        assert_eq!(rules::headers(json), Ok(()), "{json}");
    }
    for (json, rule) in [
        ("", Rule::HeadersObject),
        ("null", Rule::HeadersObject),
        ("1", Rule::HeadersObject),
        ("[]", Rule::HeadersObject),
        (r#"[null, "ru-RU"]"#, Rule::HeadersObject),
        (r#"{"request": []}"#, Rule::HeadersObject),
        (r#"{"request": ["single"]}"#, Rule::HeadersObject),
        (r#"{"request": "single"}"#, Rule::HeadersObject),
        (r#"{"request": {"type": "many"}}"#, Rule::RequestType),
        (r#"{"request": {"type": ""}}"#, Rule::RequestType),
        (r#"{"request": {"type": 1}}"#, Rule::RequestType),
        (r#"{"ordering": {"on_error": "stop"}}"#, Rule::OnError),
        (r#"{"ordering": {"on_error": true}}"#, Rule::OnError),
        (r#"{"content-language": ""}"#, Rule::Language),
        (r#"{"content-language": 1}"#, Rule::Language),
        (r#"{"content-language": "ru\r\nX: y"}"#, Rule::Language),
        (r#"{"content-language": ["ru"]}"#, Rule::Language),
    ] {
        assert_eq!(broken(rules::headers(json)), ("headers", rule), "{json}");
    }
    let sized = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
    assert_eq!(rules::headers(&sized(MAX_HEADERS)), Ok(()));
    assert_eq!(broken(rules::headers(&sized(MAX_HEADERS + 1))), ("headers", Rule::HeadersSize));
}

#[test]
fn a_batch_is_an_array_of_bodies_for_json_rpc() {
    for json in [r#"{"request": {"type": "batch"}}"#, r#"{"x": 1, "request": {"y": [], "type": "batch"}}"#] {
        assert!(rules::is_batch(json), "{json}");
    }
    for json in [
        "{}",
        r#"{"request": {"type": "single"}}"#,
        r#"{"request": {"kind": "batch"}}"#,
        r#"{"request": ["batch"]}"#,
        r#"{"request": null, "type": "batch"}"#,
        r#""batch""#,
        "no JSON, and a batch",
    ] {
        assert!(!rules::is_batch(json), "{json}");
    }
    assert_eq!(rules::batch(Protocol::JsonRpc, Some(1)), Ok(()));
    assert_eq!(rules::batch(Protocol::JsonRpc, Some(MAX_BATCH)), Ok(()));
    for requests in [None, Some(0), Some(MAX_BATCH + 1)] {
        assert_eq!(broken(rules::batch(Protocol::JsonRpc, requests)), ("body", Rule::BatchBody));
    }
    assert_eq!(broken(rules::batch(Protocol::Json, Some(1))), ("protocol", Rule::BatchProtocol));
}

#[test]
fn a_body_has_limits_of_size_and_depth() {
    let shape = |bytes, depth| Shape { bytes, depth, structured: true };
    assert_eq!(rules::body(shape(100, MAX_DEPTH), 100), Ok(()));
    assert_eq!(broken(rules::body(shape(101, 1), 100)), ("body", Rule::BodySize { max: 100 }));
    assert_eq!(broken(rules::body(shape(100, MAX_DEPTH + 1), 100)), ("body", Rule::BodyDepth));
    for scalar in ["null", "1", "\"a\"", "true"] {
        assert_eq!(rules::body_for(Protocol::Json, Shape::of(scalar)), Ok(()));
        let refused = rules::body_for(Protocol::JsonRpc, Shape::of(scalar));
        assert_eq!(broken(refused), ("body", Rule::BodyStructured));
    }
}

#[test]
fn a_reply_goes_to_a_label_and_to_no_whole_subject_of_the_server_or_an_inbox() {
    for subject in ["replies", "orders.42", "A-b_c.D", "1"] {
        assert_eq!(rules::reply_to(subject), Ok(()), "{subject}");
    }
    for subject in
        ["_INBOX.a", "$JS.API.x", "$SYS.a", "a.*", "a.>", ">", "a..b", "a.", ".a", "a b", &"a".repeat(256)]
    {
        assert_eq!(broken(rules::reply_to(subject)), ("reply_to", Rule::Label), "{subject:?}");
    }
}

#[test]
fn an_ordering_key_is_one_to_200_bytes_and_is_not_shown() {
    for key in ["k", " ", "customer 17", "ä", &"ä".repeat(100)] {
        assert_eq!(rules::ordering_key(key), Ok(()), "{key:?}");
    }
    for (key, words) in [
        (String::new(), "ordering_key must be 1 to 200 bytes, not 0"),
        (format!("canary{}", "ä".repeat(98)), "ordering_key must be 1 to 200 bytes, not 202"),
    ] {
        let error = rules::ordering_key(&key).unwrap_err();
        assert_eq!((error.rule, error.to_string().as_str()), (Rule::OrderingKey, words));
    }
}

#[test]
fn a_reply_handler_is_a_function_behind_its_schema() {
    for name in [
        "shop.paid",
        "Shop.Paid",
        "_s1$.заплачено",
        r#""Odd name"."a""b""#,
        "public.paid(tpro.reply_row)",
        r#""a.b".c"#,
    ] {
        assert_eq!(rules::on_reply(name), Ok(()), "{name:?}");
    }
    let others = [
        "paid",
        "a.b.c",
        ".paid",
        "shop.",
        "shop.1",
        "shop paid",
        "shop.paid()",
        "shop.paid(text)",
        "shop.paid (tpro.reply_row)",
        "(tpro.reply_row)",
        r#"shop."""#,
        r#"shop."paid"#,
    ];
    for name in others.iter().chain(HOSTILE).filter(|name| **name != "a.b") {
        assert_eq!(broken(rules::on_reply(name)), ("on_reply", Rule::OnReply), "{name:?}");
    }
    let words = "on_reply must be the name of a function behind that of its schema";
    assert_eq!(rules::on_reply("paid").unwrap_err().to_string(), format!("{words}, not \"paid\""));
    assert_eq!(rules::on_reply("the password is canary").unwrap_err().to_string(), words);
}

proptest! {
    #[test]
    fn what_the_rules_take_makes_a_target(
        space in prop_oneof![name(), any::<String>()], service in prop_oneof![name(), any::<String>()],
        entity in prop_oneof![word(), any::<String>()], method_name in prop_oneof![word(), any::<String>()],
    ) {
        let taken = rules::space_name(&space).is_ok() && rules::service_name(&service).is_ok()
            && rules::entity(&entity).is_ok() && rules::method_name(&method_name).is_ok();
        prop_assert_eq!(Target::new(&space, &service, &entity, &method_name).is_ok(), taken);
    }

    #[test]
    fn any_json_is_judged_without_a_panic(json in json()) {
        let judged = rules::headers(&json);
        let object = json.starts_with('{');
        prop_assert!(judged.is_err() || object);
        let _ = rules::body(Shape::of(&json), MAX_BODY);
    }

    #[test]
    fn any_text_is_judged_without_a_panic(text in any::<String>(), number in any::<i32>()) {
        for judge in [
            rules::protocol, rules::space_name, rules::service_name, rules::entity, rules::method_name, rules::headers,
            rules::reply_to, rules::traceparent, rules::tracestate,
        ] {
            if let Err(error) = judge(&text) {
                prop_assert!(error.to_string().len() < 700, "a message is bounded");
                prop_assert!(!error.to_string().contains(['\r', '\n']));
            }
        }
        prop_assert_eq!(rules::timeout(number).is_ok(), (0..=86_400).contains(&number));
    }
}
