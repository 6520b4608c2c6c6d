//! Values that JSON allows and somebody on the way does not: each is refused in clear words or carried as it is, and none
//! holds up another message.

use async_nats::Message as Heard;
use serde_json::{Value, json};
use tokio_postgres::Client;
use tpro_testkit::{Message, Outcome, World};

use crate::answerer::Answerer;
use crate::rogue::Rogue;

/// A value, and the SQLSTATE with which a publish refuses it as a body. What is refused for its size or depth (54000)
/// could be stored.
fn values() -> Vec<(&'static str, String, Option<&'static str>)> {
    let object = |member: &str| format!(r#"{{"value": {member}}}"#);
    vec![
        ("a null character", object(r#""\u0000""#), Some("22P05")),
        ("a null character in a key", r#"{"\u0000": 1}"#.into(), Some("22P05")),
        ("a lone high surrogate", object(r#""\ud800""#), Some("22P02")),
        ("a lone low surrogate", object(r#""\udc00""#), Some("22P02")),
        ("a pair of surrogates", object(r#""\ud83d\ude00""#), None),
        ("all that is escaped", object(r#""\u0001\u001f\u007f\u2028\u2029\\\"\/\b\f\n\r\t""#), None),
        ("a line break and what looks like a header", object(r#""x\r\nNats-Msg-Id: y\r\n\r\n""#), None),
        ("a key that comes twice", r#"{"value": 1, "value": 2}"#.into(), None),
        ("an empty key", r#"{"": 1}"#.into(), None),
        ("a number beyond a double", object("1e400"), None),
        ("a number next to nothing", object("1e-400"), None),
        ("more digits than a double has", object("1.0000000000000000000000000000000001"), None),
        ("a number that PostgreSQL does not hold", object("1e200000"), Some("22003")),
        ("as deep as a body may be", nested(126), None),
        ("deeper than a body may be", nested(128), Some("54000")),
        ("10,000 deep", nested(10_000), Some("54000")),
        ("deeper than PostgreSQL's stack", nested(20_000), Some("54001")),
        ("no JSON", "{value".into(), Some("22P02")),
        ("nothing", String::new(), Some("22P02")),
    ]
}

/// An object with arrays in each other, so deep in all.
fn nested(depth: usize) -> String {
    format!(r#"{{"value": {}{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1))
}

#[tpro_testkit::test]
async fn an_odd_body_is_refused_at_the_publish_or_carried_as_it_is() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let _answerer = Answerer::raw(&world.nats, "tpro.old.thing.ask", |heard| heard.payload.to_vec()).await?;
    let mut taken = 0;
    for (what, value, refused) in values() {
        for (target, protocol) in [
            ("old.thing.ask", "json"),
            ("rogue.default.raw", "jsonrpc"),
            ("rogue.transactional.raw", "jsonrpc"),
        ] {
            assert_eq!(
                publish(&world.main, target, protocol, &value, "{}").await?,
                refused.map(str::to_owned),
                "{what}"
            );
            taken += i64::from(refused.is_none());
        }
    }
    // Bytes that are no UTF-8 do not even come as far as jsonb.
    let bytes = r#"SELECT tpro.publish('old', 'thing', 'ask', body => convert_from('\x227fff22', 'UTF8')::jsonb, sender => 'main')"#;
    assert_eq!(sqlstate(world.main.batch_execute(bytes).await)?.as_deref(), Some("22021"));

    world.recon().await?;
    assert_eq!(same(&world, "r.result = p.body").await?, taken, "{:?}", world.replies("main").await?);
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn odd_headers_are_refused_at_the_publish_or_carried_as_they_are() -> Outcome {
    let world = World::new().await?;
    let main = world.run("main").await?;
    // What the target hears as the row's headers, it answers.
    let _answerer = Answerer::raw(&world.nats, "tpro.old.thing.ask", |heard| {
        let headers = heard.headers.as_ref().and_then(|headers| headers.get("Tpro-Headers"));
        headers.map_or_else(|| b"null".to_vec(), |headers| headers.as_str().as_bytes().to_vec())
    })
    .await?;
    let mut taken = 0;
    for (what, value, refused) in values() {
        // A depth of its own is not asked of headers, only a size.
        let refused = match what {
            "deeper than a body may be" => None,
            _ => refused,
        };
        let found = publish(&world.main, "old.thing.ask", "json", "{}", &value).await?;
        assert_eq!(found, refused.map(str::to_owned), "{what}");
        taken += i64::from(refused.is_none());
    }
    for (headers, refused) in [
        (r#"{"content-language": "ru-RU\r\nNats-Msg-Id: x"}"#, Some("22023")),
        (r#"{"content-language": 7}"#, Some("22023")),
        (r#"{"request": {"type": "\u0041"}}"#, Some("22023")),
        (r#"{"request": []}"#, Some("22023")),
        (r#"{"tpro-hops": "many"}"#, None),
        (r#"{"tpro-hops": -1}"#, None),
        ("[]", Some("22023")),
        ("7", Some("22023")),
        ("null", Some("22023")),
    ] {
        let found = publish(&world.main, "old.thing.ask", "json", "{}", headers).await?;
        assert_eq!(found, refused.map(str::to_owned), "{headers}");
        taken += i64::from(refused.is_none());
    }
    world.recon().await?;
    assert_eq!(same(&world, "r.result = p.headers").await?, taken, "{:?}", world.replies("main").await?);
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn an_odd_reply_is_an_error_or_comes_as_it_is_and_spoils_no_other() -> Outcome {
    let world = World::new().await?;
    let mut replies: Vec<_> = values()
        .into_iter()
        .map(|(what, value, refused)| (what, value.into_bytes(), matches!(refused, None | Some("54000"))))
        .collect();
    replies
        .iter_mut()
        .filter(|(what, ..)| *what == "deeper than a body may be")
        .for_each(|(.., ok)| *ok = true);
    replies.push(("bytes that are no UTF-8", b"{\"value\": \"\xff\xfe\"}".to_vec(), false));
    replies.push(("half a character", b"{\"value\": \"\xd0\"}".to_vec(), false));
    replies.push(("a byte order mark", b"\xef\xbb\xbf{}".to_vec(), false));
    let count = replies.len();
    let odd: Vec<Vec<u8>> = replies.iter().map(|(_, value, _)| value.clone()).collect();
    let bare = odd.clone();
    let pick = |odd: &[Vec<u8>], body: &Value| {
        body["odd"]
            .as_u64()
            .and_then(|index| odd.get(index as usize).cloned())
            .unwrap_or_else(|| b"{\"good\": true}".to_vec())
    };
    let _json =
        Answerer::raw(&world.nats, "tpro.old.thing.json", move |heard| pick(&bare, &body(heard))).await?;
    let _jsonrpc = Answerer::raw(&world.nats, "tpro.old.thing.jsonrpc", move |heard| {
        let request = body(heard);
        let mut answer = format!(r#"{{"jsonrpc": "2.0", "id": {}, "result": "#, request["id"]).into_bytes();
        answer.extend(pick(&odd, &request["params"]));
        answer.push(b'}');
        answer
    })
    .await?;
    let main = world.run("main").await?;

    for protocol in ["json", "jsonrpc"] {
        let ask =
            |body| Message::to(&format!("old.thing.{protocol}")).protocol(protocol).timeout(5).body(body);
        world.main.batch_execute("BEGIN").await?;
        ask(json!({})).publish_many(&world.main, 250).await?;
        for index in 0..count {
            world.publish(&ask(json!({"odd": index}))).await?;
        }
        ask(json!({})).publish_many(&world.main, 250).await?;
        world.main.batch_execute("COMMIT").await?;
    }

    world.recon().await?;
    assert_eq!(
        world.count("SELECT count(*) FROM main_service.mq_reply WHERE result = '{\"good\": true}'").await?,
        1_000
    );
    for (index, (what, value, carried)) in replies.iter().enumerate() {
        let rows = world
            .admin
            .query(
                "SELECT r.status::text, r.result::text, r.error->>'message'
                 FROM main_service.mq_reply r JOIN main_service.mq_publish p ON p.id = r.mq_id
                 WHERE p.body->>'odd' = $1::text",
                &[&index.to_string()],
            )
            .await?;
        assert_eq!(rows.len(), 2, "{what}");
        for row in rows {
            let (status, result, error): (&str, Option<&str>, Option<&str>) =
                (row.get(0), row.get(1), row.get(2));
            let expected = if *carried { "ok" } else { "error" };
            assert_eq!(status, expected, "{what}: {result:?} {error:?}");
            if *carried {
                let kept = world
                    .admin
                    .query_one(
                        "SELECT $1::text::jsonb = $2::text::jsonb",
                        &[&str::from_utf8(value)?, &result],
                    )
                    .await?;
                assert!(kept.get::<_, bool>(0), "{what}: {result:?}");
            } else {
                assert!(
                    error.is_some_and(|error| error.contains("JSON") || error.contains("UTF-8")),
                    "{what}: {error:?}"
                );
            }
        }
    }
    world.finish(&[&main]).await?;
    Ok(())
}

/// Publishes; the SQLSTATE if it is refused.
async fn publish(
    session: &Client,
    target: &str,
    protocol: &str,
    body: &str,
    headers: &str,
) -> Outcome<Option<String>> {
    let parts: Vec<&str> = target.split('.').collect();
    let published = session
        .query(
            "SELECT tpro.publish($1::text, $2::text, $3::text, body => $4::text::jsonb, headers => $5::text::jsonb,
                protocol => $6::text, sender => 'main')",
            &[&parts[0], &parts[1], &parts[2], &body, &headers, &protocol],
        )
        .await;
    sqlstate(published.map(drop))
}

/// The SQLSTATE of a refusal; any other error is a failure.
fn sqlstate(result: Result<(), tokio_postgres::Error>) -> Outcome<Option<String>> {
    match result {
        Ok(()) => Ok(None),
        Err(error) => match error.code() {
            Some(code) => Ok(Some(code.code().to_owned())),
            None => Err(error.into()),
        },
    }
}

/// How many replies are as they should be.
async fn same(world: &World, condition: &str) -> Outcome<i64> {
    let query = format!(
        "SELECT count(*) FROM main_service.mq_reply r JOIN main_service.mq_publish p ON p.id = r.mq_id
         WHERE r.status = 'ok' AND {condition}"
    );
    world.count(&query).await
}

fn body(heard: &Heard) -> Value {
    serde_json::from_slice(&heard.payload).unwrap_or(Value::Null)
}
