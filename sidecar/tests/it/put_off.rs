//! Handlers that ask to be asked again later: the message is sent again within its budget, not
//! before that time, and the last wish is its end where the budget does not suffice.

use serde_json::{Value, json};
use tpro_testkit::{Message, Outcome, World, eventually};

use crate::rogue::Rogue;

/// Each way a handler is served, and a handler whose call is put off.
const METHODS: [&str; 5] = [
    "stateless.put_off",
    "default.put_off",
    "default.put_off_tx",
    "transactional.put_off",
    "default.call_put_off",
];

/// The label of attempts that were put off.
const LATER: &str = "reason=\"later\"";

/// A world in which the runs of each method's message are counted, also those that are rolled back.
async fn world() -> Outcome<World> {
    let world = Rogue::world().await?;
    for method in METHODS {
        let runs = runs(method);
        world
            .admin
            .batch_execute(&format!("CREATE SEQUENCE {runs}; GRANT USAGE ON SEQUENCE {runs} TO rogue"))
            .await?;
    }
    Ok(world)
}

/// The sequence that counts the runs of a method.
fn runs(method: &str) -> String {
    format!("public.runs_of_{}", method.replace('.', "_"))
}

/// How often a method ran.
async fn ran(world: &World, method: &str) -> Outcome<i64> {
    world.count(&format!("SELECT last_value FROM {}", runs(method))).await
}

/// A request that is put off so many times, for so many seconds each.
fn request(method: &str, times: i64, seconds: u32) -> Message {
    Rogue::request(method, body(method, times, seconds))
}

fn body(method: &str, times: i64, seconds: u32) -> Value {
    json!({"runs": runs(method), "times": times, "seconds": seconds})
}

#[tpro_testkit::test]
async fn what_is_put_off_is_sent_again_after_that_time_and_no_such_run_is_counted() -> Outcome {
    let world = world().await?;
    let main = world.run("main").await?;
    // Each of them would be given up, or be told to be at work in the other copy.
    let first = world.start(Rogue::copy(&world, 1)?.env("RUNS_MAX", 2)).await?;
    let second = world.start(Rogue::copy(&world, 2)?.env("RUNS_MAX", 2)).await?;
    let mut ids = Vec::new();
    for method in METHODS {
        ids.push(world.publish(&request(method, 3, 1).timeout(60)).await?);
    }
    for (method, id) in METHODS.into_iter().zip(ids) {
        let reply = world.await_reply(id).await?;
        let attempts = if method.contains("call") { 1 } else { 4 };
        assert_eq!((reply.status.as_str(), reply.attempts), ("ok", attempts), "{method}: {reply:?}");
        assert_eq!((reply.result["number"].as_i64(), ran(&world, method).await?), (Some(1), 4), "{method}");
    }
    // Three seconds, by two clocks.
    let early = "SELECT count(*) FROM main_service.mq_reply WHERE replied_at - sent_at < interval '2.9 s'";
    assert_eq!(world.count(early).await?, 0, "none was sent again too early");
    assert_eq!(main.metric_of("tpro_refused_total", LATER).await?, 12.0, "four messages, three times each");
    world.finish(&[&main, &first, &second]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_last_wish_is_the_end_where_the_budget_does_not_suffice_and_is_no_outcome() -> Outcome {
    let world = world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let mut ids = Vec::new();
    for method in METHODS {
        ids.push(world.publish(&request(method, 100, 2).timeout(3)).await?);
    }
    for (method, id) in METHODS.into_iter().zip(ids) {
        let reply = world.await_reply(id).await?;
        let what = format!("{method}: {reply:?}");
        assert_eq!((reply.status.as_str(), reply.code()), ("error", 7), "{what}");
        assert_eq!(reply.error["message"], "told to put it off", "{what}");
        assert_eq!((reply.error["data"].as_i64(), ran(&world, method).await?), (Some(2), 2), "{what}");
        assert!(reply.responder.is_some(), "{what}");
    }
    // That of the handler whose call was put off: it handed the error on.
    assert_eq!(world.count("SELECT count(*) FROM rogue_service.mq_outcome").await?, 1);
    assert_eq!(
        world.count("SELECT count(*) FROM public.effect").await?,
        0,
        "what was put off in a transaction has no effect"
    );
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_message_that_is_put_off_holds_no_place_and_can_be_cancelled() -> Outcome {
    let world = world().await?;
    let main = world.start(world.sidecar("main")?.env("LANE_MAX", 1)).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let id = world.publish(&request("default.put_off", 1, 3_000).timeout(3_600)).await?;
    let put_off = async || Ok(main.metric_of("tpro_refused_total", LATER).await? == 1.0);
    eventually("it is put off", put_off).await?;
    for _ in 0..3 {
        world.ask(&Rogue::request("default.echo", json!({}))).await?.ok()?;
    }
    world.admin.query("SELECT tpro.cancel($1, 'main')", &[&id]).await?;
    assert_eq!(world.await_reply(id).await?.status, "cancelled");
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn an_event_that_is_put_off_waits_in_its_copy() -> Outcome {
    let world = world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    // Without a call: its time is that of the handler, and it is one that waits for a reply.
    let methods = &METHODS[..4];
    for method in methods {
        world.publish(&request(method, 2, 1).timeout(0)).await?;
    }
    eventually("all have their effects", async || Ok(Rogue::effects(&world).await? == methods.len() as i64))
        .await?;
    for method in methods {
        assert_eq!(ran(&world, method).await?, 3, "{method}");
    }
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_stranger_is_told_the_error_and_when_to_ask_again() -> Outcome {
    let world = world().await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let client = world.nats.client().await?;
    for method in METHODS {
        let payload = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": body(method, 1, 1)});
        let subject = format!("tpro.rogue.{method}");
        #[expect(clippy::disallowed_methods, reason = "a stranger asks in the way of strangers")]
        let reply = client.request(subject, payload.to_string().into()).await?;
        let answer: Value = serde_json::from_slice(&reply.payload)?;
        let headers = reply.headers.unwrap_or_default();
        if method.contains("call") {
            // The call waits, and ends well. It is a requester of tpro.
            assert_eq!(answer["result"]["number"], 1, "{answer}");
            continue;
        }
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(7), &json!(1)), "{method}: {answer}");
        assert_eq!(headers.get("Tpro-Retry-After-Ms").map(|value| value.as_str()), Some("1000"), "{method}");
        assert!(headers.get("Tpro-State").is_none(), "{method}");
    }
    world.finish(&[&rogue]).await?;
    Ok(())
}
