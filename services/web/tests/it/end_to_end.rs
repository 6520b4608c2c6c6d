//! A row becomes a request, and the response a row: with a real PostgreSQL, a real nats-server and
//! the real programs.

use serde_json::json;
use tpro_testkit::{Message, Outcome, World, eventually};

use crate::host::{Answer, Host, answer};

fn post(body: serde_json::Value) -> Message {
    Message::to("web.http.post").body(body)
}

#[tpro_testkit::test]
async fn a_row_is_sent_until_the_server_takes_it_and_its_response_is_a_row() -> Outcome {
    let world = World::options().services(&["main", "web"]).start().await?;
    let host = Host::start(|seen, number| match (seen.line.as_str(), number) {
        ("POST /down?secret=canary", _) => answer(503, &["retry-after: 1"], r#"{"why": "repairs"}"#),
        (_, 0 | 1) => answer(503, &["retry-after: 1"], ""),
        _ => answer(201, &["content-type: application/json"], r#"{"id": 12345678901234567890}"#),
    })
    .await?;
    let main = world.run("main").await?;
    let hosts = format!("*,127.0.0.1:{}", host.port);
    // A proxy of the environment, which is not used: nobody listens there.
    let sidecar = world.sidecar("web")?.env("WEB_HOSTS", hosts).env("http_proxy", "http://127.0.0.1:9");
    let web = world.start(sidecar).await?;

    let headers = json!({"Authorization": "Bearer canary"});
    let body =
        json!({"url": host.url("/hook?secret=canary"), "headers": headers, "body": {"word": "canary"}});
    let id = world.publish(&post(body).timeout(60)).await?;
    let reply = world.await_reply(id).await?;
    assert_eq!((reply.status.as_str(), reply.attempts), ("ok", 3), "{reply:?}");
    assert_eq!(reply.result["status"], 201);
    assert_eq!(reply.result["body"], json!({"id": 12_345_678_901_234_567_890_u64}));
    let seen = host.seen();
    let keys: Vec<_> = seen.iter().map(|seen| seen.header("idempotency-key")).collect();
    let row = "SELECT uid::text, tpro.trace_id(id, 'main')::text FROM main_service.mq_publish WHERE id = $1";
    let row = world.admin.query_one(row, &[&id]).await?;
    assert_eq!(keys, [Some(row.get::<_, &str>(0)); 3], "each try has the uid of the message");
    let trace = seen[2].header("traceparent").unwrap_or_default();
    assert!(trace.contains(row.get::<_, &str>(1)), "{trace}: the trace goes on");

    // The budget ends: the last response is in the error.
    let body = json!({"url": host.url("/down?secret=canary")});
    let reply = world.ask(&post(body).timeout(2)).await?;
    assert_eq!((reply.status.as_str(), reply.code()), ("error", 1), "{reply:?}");
    assert_eq!(reply.error["message"], "the server answered with status 503");
    assert_eq!(reply.error["data"]["status"], 503);
    assert_eq!(reply.error["data"]["body"], r#"{"why": "repairs"}"#);

    // A place that nobody has listed.
    let reply = world.ask(&post(json!({"url": "http://169.254.169.254/?canary"}))).await?;
    assert_eq!((reply.status.as_str(), reply.code(), reply.attempts), ("error", -32602, 1), "{reply:?}");
    assert_eq!(reply.error["data"]["field"], "url");

    for log in [main.log(), web.log()] {
        assert!(!log.contains("canary"), "no query, no header and no body is in a log:\n{log}");
    }
    world.finish(&[&main, &web]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_request_of_a_copy_that_dies_is_sent_again_under_its_key() -> Outcome {
    let world = World::options().services(&["main", "web"]).start().await?;
    let host =
        Host::start(|_, number| if number == 0 { Answer::Silence } else { answer(200, &[], "") }).await?;
    let main = world.run("main").await?;
    let sidecar = world.sidecar("web")?.env("WEB_HOSTS", "127.0.0.1");
    let first = world.start(sidecar.clone().copy(1)).await?;
    let body = json!({"url": host.url("/"), "timeout_ms": 60_000});
    let id = world.publish(&post(body).timeout(60)).await?;
    eventually("the server has the request", async || Ok(host.seen().len() == 1)).await?;
    first.kill().await?;
    let second = world.start(sidecar.copy(2)).await?;
    let reply = world.await_reply(id).await?;
    assert_eq!((reply.status.as_str(), reply.copy()), ("ok", "2"), "{reply:?}");
    let [one, two] = &host.seen()[..] else { panic!("{:?}", host.seen()) };
    assert_eq!(one.header("idempotency-key"), two.header("idempotency-key"));
    world.finish(&[&main, &second]).await?;
    Ok(())
}
