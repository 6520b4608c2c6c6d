//! The language of errors.

use tpro_wire::error::code;
use tpro_wire::language::Language;
use tpro_wire::{Batch, NotAnswer, Place, Refusal, Request, RpcError, Target, Version, refusal};

fn in_russian(error: &RpcError) -> String {
    Language::Russian.of_error(error).message.clone()
}

fn is_russian(text: &str) -> bool {
    text.chars().any(|c| ('а'..='я').contains(&c))
}

#[test]
fn a_tag_names_a_language() {
    for tag in ["ru", "ru-RU", "RU", "ru-Cyrl-RU"] {
        assert_eq!(Language::of(Some(tag)), Language::Russian, "{tag}");
    }
    for tag in ["en", "en-RU", "r", "rus", "run-ru", "de-DE", ""] {
        assert_eq!(Language::of(Some(tag)), Language::English, "{tag}");
    }
    assert_eq!(Language::of(None), Language::English);
}

#[test]
fn an_error_of_tpro_becomes_russian_with_its_values_code_and_data() {
    let mut error = RpcError::new(
        code::METHOD_NOT_FOUND,
        "method exmaple.simple is unknown to service analytic, did you mean example.simple?",
    );
    error.data = serde_json::value::to_raw_value(&[7]).ok();
    let said = Language::Russian.of_error(&error);
    let text = "метод exmaple.simple сервису analytic неизвестен; может быть, example.simple?";
    assert_eq!((said.code, said.message.as_str()), (code::METHOD_NOT_FOUND, text));
    assert_eq!(said.data.as_ref().map(|data| data.get()), Some("[7]"));
    assert_eq!(*Language::English.of_error(&error), error);
    // It is Russian already, and stays.
    assert_eq!(Language::Russian.of_error(&said).message, text);
}

#[test]
fn each_end_of_a_message_that_nobody_took_has_a_russian_text() {
    let target = Target::new("tpro", "co", "example", "x").expect("is a target");
    let versions = "1-2".parse().expect("are versions");
    let refusals =
        [Refusal::NoResponders, Refusal::Overloaded, Refusal::Forbidden, Refusal::Unsupported(versions)];
    let mut errors: Vec<RpcError> =
        refusals.iter().map(|refusal| refusal.to_error(&target, 15, Version::FIRST)).collect();
    errors.push(refusal::unheard(&target, 15));
    errors.push(refusal::go("co"));
    for error in errors {
        let text = in_russian(&error);
        assert!(is_russian(&text) && text.contains("co"), "{error}: {text}");
    }
}

#[test]
fn each_reply_that_is_no_answer_and_each_bad_request_has_a_russian_text() {
    let kinds = ["an array", "text", "true or false", "null", "a number"].map(NotAnswer::Kind);
    let others = [
        NotAnswer::Empty,
        NotAnswer::NotUtf8,
        NotAnswer::NotJson,
        NotAnswer::Members,
        NotAnswer::Id,
        NotAnswer::Neither,
        NotAnswer::Both,
        NotAnswer::Error,
        NotAnswer::BatchKind("an object"),
        NotAnswer::BatchKind("text"),
        NotAnswer::BatchLength { requests: 3, answers: 2 },
        NotAnswer::BatchId,
        NotAnswer::BatchTwice(2),
    ];
    for what in kinds.into_iter().chain(others) {
        let text = in_russian(&RpcError::new(code::BAD_REPLY, what.to_string()));
        assert!(is_russian(&text) && !text.contains("an array"), "{what}: {text}");
    }
    for payload in ["[]", "[1]", r#"[{"jsonrpc":"2.0","method":"a.b"}]"#] {
        let error = Batch::parse(payload.as_bytes()).expect_err("is no batch");
        assert!(is_russian(&in_russian(&error)) && !in_russian(&error).contains("request "), "{error}");
    }
    for payload in ["{", "[]", r#"{"jsonrpc":"1.0","method":"a.b"}"#] {
        let error = Request::parse(payload.as_bytes()).expect_err("is no request");
        assert!(is_russian(&in_russian(&error)), "{error}");
    }
}

#[test]
fn the_place_in_a_batch_stands_before_the_text_of_tpro_and_of_a_service() {
    let place = Place { index: 1, count: 3 };
    for (error, text) in [
        (RpcError::new(code::INTERNAL, "internal error"), "запрос 2 из 3: внутренняя ошибка"),
        (RpcError::new(code::INVALID_PARAMS, "field login is missing"), "запрос 2 из 3: нет поля login"),
        (RpcError::new(7, "no more seats: none"), "запрос 2 из 3: no more seats: none"),
    ] {
        let error = place.error(&error);
        assert_eq!((in_russian(&error).as_str(), error.code), (text, error.code));
        assert_eq!(*Language::English.of_error(&error), error);
    }
    let other = RpcError::new(code::BATCH, "request 2 of 3 failed, and its whole batch with it");
    assert_eq!(in_russian(&other), "запрос 2 из 3 не выполнен, а с ним и весь пакет");
}

#[test]
fn the_times_that_a_message_was_sent_stand_in_its_text() {
    for (english, russian) in [
        (
            "no answer from a within 15 s; it was sent once",
            "нет ответа от a за 15 с; сколько раз отправлено: 1",
        ),
        (
            "no answer from a within 15 s; it was sent 3 times, and what came back said nothing about it; nothing has come from service co so far: perhaps nobody runs it, and somebody else takes its messages",
            "нет ответа от a за 15 с; сколько раз отправлено: 3, а пришедшее к нему не относилось; от сервиса co пока ничего не приходило: возможно, его никто не запустил, а его сообщения берёт кто-то другой",
        ),
    ] {
        assert_eq!(in_russian(&RpcError::new(code::TIMEOUT, english)), russian);
    }
}

#[test]
fn the_text_of_a_service_stays_as_it_is() {
    for error in [
        // Its own code, and a text that looks like one of ours.
        RpcError::new(7, "internal error"),
        RpcError::new(-31999, "field login is missing"),
        // A code of tpro, and a text of its own.
        RpcError::new(code::INVALID_PARAMS, "the order is unknown"),
        RpcError::new(code::INVALID_PARAMS, "the order does not fit"),
        RpcError::new(code::INTERNAL, "internal error: {1} <1>"),
        RpcError::new(code::INTERNAL, ""),
    ] {
        assert_eq!(*Language::Russian.of_error(&error), error);
    }
}
