//! A stranger on NATS who means harm to a service.

use async_nats::HeaderMap;
use futures_util::StreamExt;
use serde_json::json;
use tpro_testkit::{Outcome, eventually, heard};

use crate::rogue::Rogue;

#[tpro_testkit::test]
async fn headers_and_bodies_that_mean_harm_are_answered_or_passed_over_and_the_service_lives() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let stranger = world.nats.client().await?;
    let inbox = stranger.new_inbox();
    let mut answers = stranger.subscribe(inbox.clone()).await?;
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "default.echo", "params": {}}).to_string();
    let uid: String = world.admin.query_one("SELECT tpro.uuid7()::text", &[]).await?.get(0);

    let mut sent = 0;
    for (name, value) in [
        ("Tpro-Budget-Ms", "18446744073709551615"),
        ("Tpro-Budget-Ms", "99999999999999999999999999"),
        ("Tpro-Budget-Ms", "-1"),
        ("Tpro-Budget-Ms", "1e3"),
        ("Tpro-Attempt", "4294967296"),
        ("Tpro-Attempt", "0"),
        ("Tpro-Hops", "4294967295"),
        ("Tpro-Hops", "many"),
        ("Tpro-Source", "main/../../etc/passwd"),
        ("Tpro-Source", "'; DROP SCHEMA rogue_service CASCADE; --"),
        ("Tpro-Protocol", "smtp"),
        ("Tpro-Headers", "{"),
        ("Tpro-Headers", "[]"),
        ("Nats-Msg-Id", "00000000-0000-0000-0000-000000000000"),
        ("Nats-Msg-Id", "'; DROP TABLE public.effect; --"),
        ("Nats-Msg-Id", uid.as_str()),
        ("traceparent", "ff-00000000000000000000000000000000-0000000000000000-ff"),
        ("traceparent", "00-ZZf7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tracestate", "tpro=p:zzzz,=,,="),
        ("Content-Language", "../../../x"),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(name, value);
        // Twice the same header is a thing of NATS, too.
        headers.append(name, "again");
        for method in ["default.echo", "transactional.raw", "stateless.echo"] {
            // A uid is that of one request. Of three under it, it would be chance which are refused.
            if value == uid && method != "default.echo" {
                continue;
            }
            let payload = request.replace("default.echo", method);
            let subject = format!("tpro.rogue.{method}");
            stranger
                .publish_with_reply_and_headers(subject, inbox.clone(), headers.clone(), payload.into())
                .await?;
            sent += 1;
        }
    }
    let long = "x".repeat(900_000);
    for (subject, payload) in [
        ("tpro.rogue.default.echo", "[".repeat(500_000)),
        (
            "tpro.rogue.default.echo",
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"default.echo","params":{}{}}}"#,
                "[".repeat(100_000),
                "]".repeat(100_000)
            ),
        ),
        (
            "tpro.rogue.default.echo",
            format!(r#"{{"jsonrpc":"2.0","id":"{long}","method":"default.echo","params":{{}}}}"#),
        ),
        ("tpro.rogue.default.echo", format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{long}","params":{{}}}}"#)),
        (
            "tpro.rogue.default.echo",
            format!(
                r#"{{"jsonrpc":"2.0","id":1e400,"method":"default.echo","params":{{"n":{}}}}}"#,
                "9".repeat(300_000)
            ),
        ),
        (
            "tpro.rogue.default.echo",
            r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"default.echo","method":"default.abort","params":{}}"#
                .into(),
        ),
        (
            "tpro.rogue.default.echo",
            r#"{"jsonrpc":"2.0","id":1,"method":"default.abort","params":{}}"#.into(),
        ),
        ("tpro.rogue.default.echo", r#"[{"jsonrpc":"2.0","id":1,"method":"default.echo"}]"#.into()),
        ("tpro.rogue.a.b.c.d.e", request.clone()),
        ("tpro.rogue.default", request.clone()),
        ("tpro.rogue.DEFAULT.ECHO", request.clone()),
        ("tpro.rogue.default.echo;DROP", request.clone()),
        ("tpro.rogue.\u{43f}\u{440}\u{438}.\u{432}\u{435}\u{442}", request.clone()),
    ] {
        stranger.publish_with_reply(subject, inbox.clone(), payload.into()).await?;
        sent += 1;
    }
    heard(&stranger).await?;
    // Each is answered, by an error or by a state that says why not; nothing is left to wait for.
    for n in 0..sent {
        let answer = tokio::time::timeout(tpro_testkit::eventually::DEADLINE, answers.next()).await;
        assert!(matches!(answer, Ok(Some(_))), "{n} of {sent} were answered: {}", rogue.log());
    }
    world.ask(&Rogue::request("default.effect", json!({}))).await?.ok()?;
    assert_eq!(Rogue::effects(&world).await?, 1);
    assert_eq!(rogue.get("/readyz").await?.status, 200);
    assert!(!rogue.log().contains("panicked"), "{}", rogue.log());
    eventually("nothing is left in hand", async || Ok(rogue.metric("tpro_handlers_at_work").await? == 0.0))
        .await?;
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}
