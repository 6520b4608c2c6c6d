//! Requests as nobody should send them, as bytes on the wire: each has one answer or none, and the service goes on.

use futures_util::StreamExt as _;
use serde_json::Value;
use tpro_testkit::{Context, Outcome, eventually, listen};

use crate::raw::Raw;
use crate::rogue::Rogue;

/// A request: its name, its subject, its headers, its payload, and what comes back.
struct Odd {
    name: &'static str,
    subject: Vec<u8>,
    headers: Vec<u8>,
    payload: Vec<u8>,
    /// A result, `error CODE`, a state, or nothing.
    back: &'static str,
}

const ECHO: &str = "tpro.rogue.default.echo";
const GOOD: &str = r#"{"jsonrpc":"2.0","id":1,"method":"default.echo","params":{"a":1}}"#;
const RESULT: &str = "result";
const NOTHING: &str = "nothing";

fn body(name: &'static str, payload: impl Into<Vec<u8>>, back: &'static str) -> Odd {
    Odd { name, subject: ECHO.into(), headers: Vec::new(), payload: payload.into(), back }
}

fn params(name: &'static str, json: &str, back: &'static str) -> Odd {
    body(name, GOOD.replace(r#"{"a":1}"#, json), back)
}

fn to(name: &'static str, subject: impl Into<Vec<u8>>, back: &'static str) -> Odd {
    Odd { subject: subject.into(), ..body(name, GOOD, back) }
}

fn headed(name: &'static str, lines: &str, back: &'static str) -> Odd {
    Odd { headers: format!("NATS/1.0{lines}\r\n\r\n").into_bytes(), ..body(name, GOOD, back) }
}

fn all() -> Vec<Odd> {
    let many: String = (0..5_000).map(|n| format!("\r\nX-{n}: {n}")).collect();
    vec![
        body("plain", GOOD, RESULT),
        body("empty", "", "error -32700"),
        body("batch of none", "[]", "error -32600"),
        body("batch", format!("[{GOOD},{GOOD}]"), "result [{"),
        body("batch with a number among its requests", format!("[{GOOD},7]"), "error -32600"),
        body("behind it more", format!("{GOOD}{GOOD}"), "error -32700"),
        body("byte order mark", format!("\u{feff}{GOOD}"), "error -32700"),
        body(
            "not UTF-8",
            [&GOOD.as_bytes()[..60], b"\xff\xfe", &GOOD.as_bytes()[60..]].concat(),
            "error -32700",
        ),
        body("a NUL", GOOD.replace(":1,", ":\u{0}1,"), "error -32700"),
        body(
            "method twice",
            GOOD.replace("\"params\"", "\"method\":\"default.abort\",\"params\""),
            "error -32600",
        ),
        body("id twice", GOOD.replace("\"params\"", "\"id\":2,\"params\""), "error -32600"),
        body("params twice", GOOD.replace("\"params\"", "\"params\":1,\"params\""), "error -32600"),
        body("no params", r#"{"jsonrpc":"2.0","id":1,"method":"default.echo"}"#, RESULT),
        body("more members", GOOD.replace("\"params\"", "\"more\":[[[]]],\"params\""), RESULT),
        body("method is a number", GOOD.replace("\"default.echo\"", "7"), "error -32600"),
        body("method of another", GOOD.replace("default.echo", "default.effect"), "error -32600"),
        body("no id", GOOD.replace("\"id\":1,", ""), NOTHING),
        body("id null", GOOD.replace("\"id\":1", "\"id\":null"), RESULT),
        body("id is a double", GOOD.replace("\"id\":1", "\"id\":1.5e300"), RESULT),
        body("id beyond a double", GOOD.replace("\"id\":1", "\"id\":1e400"), RESULT),
        body("id is an object", GOOD.replace("\"id\":1", "\"id\":{}"), "error -32600"),
        body("id is true", GOOD.replace("\"id\":1", "\"id\":true"), "error -32600"),
        body("id with a lone surrogate", GOOD.replace("\"id\":1", "\"id\":\"\\ud800\""), RESULT),
        body("long id", GOOD.replace("\"id\":1", &format!("\"id\":\"{}\"", "x".repeat(100_000))), RESULT),
        params("params are an array", "[1,2]", RESULT),
        params("params are null", "null", "error -32600"),
        params("params are a number", "7", "error -32600"),
        params("deep params", &format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)), "error -32602"),
        params("NUL in a string", r#"{"a":"\u0000"}"#, RESULT),
        params("a lone surrogate", r#"{"a":"\ud800"}"#, "error -32602"),
        params("keys twice", r#"{"a":1,"a":2}"#, RESULT),
        params("beyond a double", r#"{"a":1e400}"#, "error -32602"),
        params("many digits", &format!("[{}]", "9".repeat(400_000)), "error -32602"),
        params("spaces", &format!("{{{}}}", " ".repeat(800_000)), RESULT),
        // The server gives it to nobody.
        to("empty word", "tpro.rogue..echo", NOTHING),
        to("ends with a dot", "tpro.rogue.default.echo.", NOTHING),
        to("a wildcard", "tpro.rogue.default.*", "error"),
        to("all of it", "tpro.rogue.>", "error"),
        to("five words", "tpro.rogue.default.echo.more", "error"),
        to("capitals", "tpro.rogue.Default.Echo", "error"),
        to("a control character", "tpro.rogue.default.ec\x01ho", "error"),
        to("not UTF-8", b"tpro.rogue.default.ech\xff".to_vec(), "error"),
        to("long", format!("tpro.rogue.default.{}", "e".repeat(3_900)), "error"),
        headed("many headers", &many, RESULT),
        headed("a long header", &format!("\r\nX: {}", "x".repeat(60_000)), RESULT),
        headed("a status", " 503", RESULT),
        headed("a status with words", " 100 Idle Heartbeat\r\nA: b", RESULT),
        headed("no status that counts", " 9x9\r\nTpro-Attempt: 1", RESULT),
        headed("a name without a value", "\r\nNats-Msg-Id:", RESULT),
        headed("a name of nothing", "\r\n: x", RESULT),
        headed("a uid in capitals", "\r\nNats-Msg-Id: 017F22E2-79B0-7CC3-98C4-DC0C0C07398F", "stale"),
        headed("a uid of 1970", "\r\nNats-Msg-Id: 00000000-0001-7cc3-98c4-dc0c0c07398f", "stale"),
        headed("a uid of the far future", "\r\nNats-Msg-Id: ffffffff-ffff-7cc3-98c4-dc0c0c07398f", "stale"),
        headed("a version of nothing", "\r\nTpro-Version: x", "unsupported"),
        headed("a version to come", "\r\nTpro-Version: 65535", "unsupported"),
        headed("a version beyond", "\r\nTpro-Version: 65536", "unsupported"),
        headed("a state", "\r\nTpro-State: working", RESULT),
        headed("another protocol", "\r\nTpro-Protocol: json", RESULT),
        headed("no protocol", "\r\nTpro-Protocol: smtp", RESULT),
        headed("no budget", "\r\nTpro-Budget-Ms: 0", RESULT),
        headed("a key of nobody", "\r\nTpro-Key: zz\r\nTpro-Source: main/x", RESULT),
        headed("too many hops", "\r\nTpro-Hops: 4294967295", "error"),
    ]
}

#[tpro_testkit::test]
async fn each_odd_request_has_one_answer_or_none_and_the_service_goes_on() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let listener = world.nats.client().await?;
    let mut backs = listen(&listener, "back.*").await?;
    let mut stranger = Raw::connect(&world.nats).await?;
    let odds = all();
    for (case, odd) in odds.iter().enumerate() {
        let headers = (!odd.headers.is_empty()).then_some(&odd.headers[..]);
        let reply = format!("back.{case}");
        stranger.publish(&odd.subject, Some(reply.as_bytes()), headers, &odd.payload).await?;
    }
    stranger.flush().await?;
    let expected = odds.iter().filter(|odd| odd.back != NOTHING).count();
    let mut came: Vec<Vec<String>> = vec![Vec::new(); odds.len()];
    eventually("those that are to be answered are", async || {
        while let Ok(Some(message)) =
            tokio::time::timeout(std::time::Duration::from_millis(20), backs.next()).await
        {
            let case: usize = message.subject.as_str().rsplit('.').next().context("a number")?.parse()?;
            let headers = message.headers.unwrap_or_default();
            let answer: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
            came[case].push(match (headers.get("Tpro-State"), message.status) {
                (Some(state), _) => state.to_string(),
                (None, Some(status)) => format!("status {status}"),
                _ if answer["error"].is_object() => {
                    format!("error {} {}", answer["error"]["code"], answer["error"]["message"])
                }
                _ => format!("{RESULT} {:.60}", answer.to_string()),
            });
        }
        Ok(came.iter().filter(|came| !came.is_empty()).count() >= expected)
    })
    .await?;
    let mut other = Vec::new();
    for (odd, came) in odds.iter().zip(&came) {
        let fits = match (odd.back, &came[..]) {
            (NOTHING, []) => true,
            (back, [one]) => one.starts_with(back),
            _ => false,
        };
        if !fits {
            other.push(format!("{}: {came:?} and not {}", odd.name, odd.back));
        }
    }
    assert!(other.is_empty(), "{other:#?}");
    world.ask(&Rogue::request("default.echo", serde_json::json!({}))).await?.ok()?;
    assert!(!rogue.log().contains("panicked"), "{}", rogue.log());
    assert_eq!(rogue.metric("tpro_nats_disconnects_total").await?, 0.0);
    assert_eq!(rogue.get("/readyz").await?.status, 200);
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}
