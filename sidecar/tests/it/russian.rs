//! Error texts of tpro in the language of the caller: `content-language` in a row,
//! `Content-Language` on the wire.

use std::time::{SystemTime, UNIX_EPOCH};

use async_nats::HeaderMap;
use serde_json::{Value, json};
use tpro_testkit::{Message, Outcome, eventually};
use tpro_wire::Uid;

use crate::answerer::Answerer;
use crate::rogue::Rogue;

/// True if the text has a Russian letter.
fn is_russian(text: &str) -> bool {
    text.chars().any(|c| ('а'..='я').contains(&c))
}

/// A message that ends as an error of tpro: its code, and a word of its Russian text.
fn failures() -> Vec<(Message, i64, &'static str)> {
    vec![
        (Rogue::request("default.ecoh", json!({})), -32601, "может быть, default.echo?"),
        (Rogue::request("default.effect", json!({"hold": "x"})), -32602, "поле hold не подходит"),
        (Rogue::request("default.internal", json!({})), -32603, "внутренняя ошибка"),
        (Rogue::request("default.reply", json!({})), -32603, "нельзя сохранить"),
        (Rogue::request("default.reply", json!({"bytes": 2_000_000})), -32006, "передать можно"),
        (Rogue::request("default.circle", json!({"ring": []})), -32007, "цепочка вызовов"),
        (Message::to("gone.thing.ask").timeout(1), -32001, "никто не запустил"),
        (Message::to("odd.thing.ask"), -32009, "не ответ JSON-RPC 2.0: это массив"),
        // The service says so, or the requester has waited long enough: which is first is chance.
        (Rogue::request("default.hang", json!({})).timeout(1), -32002, ""),
    ]
}

#[tpro_testkit::test]
async fn each_kind_of_error_reads_russian_in_the_row_of_who_asks_for_it() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?.env("HOPS_MAX", 3)).await?;
    let _odd = Answerer::start(&world.nats, "tpro.odd.thing.ask", |_| "[]".to_owned()).await?;
    for (message, code, word) in failures() {
        let russian = world.ask(&message.clone().headers(json!({"content-language": "ru-RU"}))).await?;
        let english = world.ask(&message.clone().headers(json!({"content-language": "en"}))).await?;
        let unsaid = world.ask(&message).await?;
        let text =
            |reply: &tpro_testkit::Reply| reply.error["message"].as_str().unwrap_or_default().to_owned();
        assert!(is_russian(&text(&russian)) && text(&russian).contains(word), "{word}: {russian:?}");
        for reply in [&english, &unsaid] {
            assert!(!is_russian(&text(reply)) && !text(reply).is_empty(), "{word}: {reply:?}");
        }
        for reply in [&russian, &english, &unsaid] {
            assert_eq!(reply.code(), code, "{word}: {reply:?}");
            assert_eq!(reply.error["data"], russian.error["data"], "{word}");
        }
    }
    // The error of a service is its own.
    let own = Rogue::request("default.effect", json!({"end": "fault"}));
    let reply = world.ask(&own.headers(json!({"content-language": "ru"}))).await?;
    assert_eq!((reply.code(), &reply.error["message"]), (7, &json!("told to fail")), "{reply:?}");
    // One that has expired was never sent.
    let expired = "INSERT INTO main_service.mq_publish (service_name, entity, method_name, headers, expires_at)
        VALUES ('rogue', 'default', 'echo', '{\"content-language\": \"ru\"}', now() - interval '1 s') RETURNING id";
    let reply = world.await_reply(world.main.query_one(expired, &[]).await?.get(0)).await?;
    assert_eq!(reply.error["message"], "его срок прошёл раньше отправки", "{reply:?}");
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_stranger_is_answered_in_its_language_and_the_outcome_is_stored_in_english() -> Outcome {
    let world = Rogue::world().await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let stranger = world.nats.client().await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let uid = Uid::v7(u64::try_from(now)?, [7; 10]).to_string();
    // The first is asked, and the others get what was stored.
    for (language, text) in [
        (Some("ru-RU"), "внутренняя ошибка"),
        (None, "internal error"),
        (Some("ru"), "внутренняя ошибка"),
        (Some("en-RU"), "internal error"),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", uid.as_str());
        if let Some(language) = language {
            headers.insert("Content-Language", language);
        }
        let request = json!({"jsonrpc": "2.0", "id": uid, "method": "default.internal", "params": {}});
        let answer = stranger
            .request_with_headers("tpro.rogue.default.internal", headers, request.to_string().into())
            .await?;
        let answer: Value = serde_json::from_slice(&answer.payload)?;
        assert_eq!(answer["error"], json!({"code": -32603, "message": text}), "{language:?}");
    }
    let stored = "SELECT string_agg(answer::text, ',') FROM rogue_service.mq_outcome";
    let stored: String = world.admin.query_one(stored, &[]).await?.get(0);
    assert!(stored.contains("internal error") && !is_russian(&stored), "{stored}");
    eventually("the failure is in the log", async || Ok(rogue.log().contains("the handler failed"))).await?;
    assert!(!is_russian(&rogue.log()), "the log is in English: {}", rogue.log());
    world.finish(&[&rogue]).await?;
    Ok(())
}
