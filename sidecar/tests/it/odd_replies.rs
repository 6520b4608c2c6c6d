//! Replies as nobody should write them: each ends its message in one way, and the leader goes on.

use serde_json::{Value, json};
use tpro_testkit::{Context, Message, Outcome, World, eventually};

use crate::raw::Raw;

/// A reply: its name, its headers, its payload with `$ID` for the id of the request, and what becomes of the message.
struct Odd {
    name: &'static str,
    headers: &'static str,
    payload: Vec<u8>,
    becomes: &'static str,
}

fn odd(name: &'static str, headers: &'static str, payload: impl Into<Vec<u8>>, becomes: &'static str) -> Odd {
    Odd { name, headers, payload: payload.into(), becomes }
}

/// An answer with this instead of a result.
fn result(json: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":"$ID","result":{json}}}"#).into_bytes()
}

fn error(json: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":"$ID","error":{json}}}"#).into_bytes()
}

/// A budget is over: nothing of it was an answer.
const NOTHING: &str = "timeout";

fn all() -> Vec<Odd> {
    vec![
        odd("plain", "", result("1"), "ok"),
        odd("null", "", result("null"), "ok"),
        odd("another id", "", r#"{"jsonrpc":"2.0","id":"other","result":1}"#, NOTHING),
        odd("no id", "", r#"{"jsonrpc":"2.0","result":1}"#, "error -32009"),
        odd("id null", "", r#"{"jsonrpc":"2.0","id":null,"result":1}"#, NOTHING),
        odd("id twice", "", r#"{"jsonrpc":"2.0","id":"x","id":"$ID","result":1}"#, "error -32009"),
        odd("result twice", "", r#"{"jsonrpc":"2.0","id":"$ID","result":1,"result":2}"#, "error -32009"),
        odd(
            "result and error",
            "",
            r#"{"jsonrpc":"2.0","id":"$ID","result":1,"error":{"code":1,"message":""}}"#,
            "error -32009",
        ),
        odd(
            "error null beside a result",
            "",
            r#"{"jsonrpc":"2.0","id":"$ID","result":1,"error":null}"#,
            "ok",
        ),
        odd("neither", "", r#"{"jsonrpc":"2.0","id":"$ID"}"#, "error -32009"),
        odd("error with a text for a code", "", error(r#"{"code":"x","message":"y"}"#), "error -32009"),
        odd("error with a giant code", "", error(r#"{"code":1e30,"message":"y"}"#), "error -32009"),
        odd("error without message", "", error(r#"{"code":5}"#), "error -32009"),
        odd("error with NUL", "", error(r#"{"code":5,"message":"a\u0000b"}"#), "error -32009"),
        odd("error with a lone surrogate", "", error(r#"{"code":5,"message":"a\ud800b"}"#), "error -32009"),
        odd(
            "error with deep data",
            "",
            error(&format!(
                r#"{{"code":5,"message":"m","data":{}{}}}"#,
                "[".repeat(30_000),
                "]".repeat(30_000)
            )),
            "error",
        ),
        odd("batch", "", r#"[{"jsonrpc":"2.0","id":"$ID","result":1}]"#, "error -32009"),
        odd("JSON-RPC 1", "", r#"{"id":"$ID","result":1,"error":null}"#, "error -32009"),
        odd("not UTF-8", "", b"{\"jsonrpc\":\"2.0\",\"id\":\"$ID\",\"result\":\"caf\xe9\"}", "error -32009"),
        odd(
            "byte order mark",
            "",
            b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":\"$ID\",\"result\":1}",
            "error -32009",
        ),
        odd("text", "", "hello", "error -32009"),
        odd("empty", "", "", "error -32009"),
        odd("a NUL", "", b"\0", "error -32009"),
        odd("NUL in a string", "", result(r#""a\u0000b""#), "error -32009"),
        odd("lone surrogate", "", result(r#""\ud800""#), "error -32009"),
        odd("keys twice in the result", "", result(r#"{"a":1,"a":2}"#), "ok"),
        odd("1e400", "", result("1e400"), "ok"),
        odd("1e200000", "", result("1e200000"), "error -32009"),
        odd("many digits", "", result(&"9".repeat(131_000)), "ok"),
        odd("too many digits", "", result(&"9".repeat(140_000)), "error -32009"),
        odd("deep", "", result(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))), "error -32009"),
        odd("long", "", result(&format!("\"{}\"", "x".repeat(950_000))), "ok"),
        odd("status 503", "NATS/1.0 503\r\n\r\n", "", "unavailable"),
        odd("status 408", "NATS/1.0 408 Request Timeout\r\n\r\n", result("1"), NOTHING),
        odd("status 100", "NATS/1.0 100 Idle Heartbeat\r\n\r\n", "", NOTHING),
        odd("acknowledged by a stream", "", r#"{"stream":"S","seq":1}"#, NOTHING),
        odd("a state of another release", "NATS/1.0\r\nTpro-State: dreaming\r\n\r\n", result("1"), NOTHING),
        odd("working for ever", "NATS/1.0\r\nTpro-State: working\r\n\r\n", "", NOTHING),
        odd("overloaded", "NATS/1.0\r\nTpro-State: overloaded\r\n\r\n", "", "unavailable"),
        odd("stale", "NATS/1.0\r\nTpro-State: stale\r\n\r\n", "", "timeout -32005"),
        odd(
            "no version it understands",
            "NATS/1.0\r\nTpro-State: unsupported\r\nTpro-Versions: x\r\n\r\n",
            "",
            NOTHING,
        ),
        odd(
            "other versions",
            "NATS/1.0\r\nTpro-State: unsupported\r\nTpro-Versions: 7-9\r\n\r\n",
            "",
            "unavailable",
        ),
        odd("state twice", "NATS/1.0\r\nTpro-State: working\r\nTpro-State: stale\r\n\r\n", "", NOTHING),
        odd(
            "a responder of control characters",
            "NATS/1.0\r\nTpro-Responder: a\x07b\r\n\r\n",
            result("1"),
            "ok",
        ),
        odd(
            "an error of a NATS service",
            "NATS/1.0\r\nNats-Service-Error: no\r\nNats-Service-Error-Code: x\r\n\r\n",
            "",
            "error -32603",
        ),
        odd("a header that is no header", "NATS/1.0\r\nno colon\r\n\r\n", result("1"), "ok"),
    ]
}

#[tpro_testkit::test]
async fn each_odd_reply_ends_its_message_in_one_way_and_holds_up_no_other() -> Outcome {
    let world = World::new().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 60_000)).await?;
    let mut target = Raw::connect(&world.nats).await?;
    target.subscribe("tpro.odd.thing.*").await?;
    let odds = all();
    let mut ids = Vec::new();
    for case in 0..odds.len() {
        let request = Message::to("odd.thing.ask").body(json!({ "case": case })).timeout(3);
        ids.push(world.publish(&request).await?);
    }
    let settled = "SELECT count(*) FROM main_service.mq_reply";
    // Refused ones come again; all end with their budgets.
    while world.count(settled).await? < i64::try_from(odds.len())? {
        let next = tokio::time::timeout(std::time::Duration::from_millis(200), target.next()).await;
        let Ok(next) = next else { continue };
        let (reply, payload) = next?;
        let Ok(request) = serde_json::from_slice::<Value>(&payload) else { continue };
        let case = usize::try_from(request["params"]["case"].as_u64().context("it is of ours")?)?;
        let (odd, reply) = (&odds[case], reply.context("an answer is wanted")?);
        let id = request["id"].as_str().context("it has an id")?;
        let payload = replace(&odd.payload, b"$ID", id.as_bytes());
        let headers = (!odd.headers.is_empty()).then_some(odd.headers.as_bytes());
        target.publish(&reply, None, headers, &payload).await?;
        // And the same once more.
        target.publish(&reply, None, headers, &payload).await?;
    }
    let mut other = Vec::new();
    for (odd, id) in odds.iter().zip(ids) {
        // A result may be no JSON that the kit reads.
        let reply = "SELECT status || coalesce(' ' || (error->>'code'), '') FROM main_service.mq_reply WHERE mq_id = $1";
        let became: String = world.admin.query_one(reply, &[&id]).await?.get(0);
        if !became.starts_with(odd.becomes) {
            other.push(format!("{}: {became} and not {}", odd.name, odd.becomes));
        }
    }
    assert!(other.is_empty(), "{other:#?}");
    assert!(!main.log().contains("panicked"), "{}", main.log());
    assert_eq!(main.metric("tpro_nats_disconnects_total").await?, 0.0);
    assert_eq!(main.get("/readyz").await?.status, 200);
    eventually("nothing is in flight", async || Ok(main.metric("tpro_in_flight").await? == 0.0)).await?;
    world.finish(&[&main]).await?;
    Ok(())
}

fn replace(text: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    match text.windows(what.len()).position(|part| part == what) {
        Some(at) => [&text[..at], by, &text[at + what.len()..]].concat(),
        None => text.to_vec(),
    }
}
