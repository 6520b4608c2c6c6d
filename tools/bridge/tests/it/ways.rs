//! Both ways: a Go service asks one of tpro, and the other way round.

use std::sync::Arc;

use serde_json::{Value, json};
use tpro_testkit::go::Came;
use tpro_testkit::{GoAnswer, GoCopy, GoRequester, Message, Outcome, eventually};

use crate::bridged::{Bridged, PATIENCE};

fn login() -> Value {
    json!({"ip": "172.19.0.8", "login": "login342", "password": "phnd26w"})
}

#[tpro_testkit::test]
async fn a_go_service_asks_a_service_of_tpro_and_reads_its_answer() -> Outcome {
    let bridged = Bridged::new().await?;
    let world = &bridged.world;
    let analytic = world.run("analytic").await?;
    let bridge = bridged.run(1, "main,co", "analytic").await?;
    let main = GoRequester::new(&bridged.old, "main").await?;

    let came = main.ask(1, "analytic.example.simple", login(), PATIENCE).await?.ok()?;
    assert_eq!(came["face_id"], 1, "{came}");
    // The trace goes on: a Go trace id of 64 bits is filled up with zeros.
    let trace = format!("{}{}", "0".repeat(16), "5b1f0c2d3e4f5061");
    eventually("the handler's span is in the trace of the Go service", async || {
        Ok(world.collector.spans().iter().any(|span| span.trace_id == trace && span.service == "analytic"))
    })
    .await?;
    let unknown = main.ask(2, "analytic.example.no_such", json!({}), PATIENCE).await?;
    assert_eq!(unknown, Came::Error(json!("wrong handler")));
    let mut wrong = login();
    wrong["password"] = json!("wrong");
    let Came::Error(error) = main.ask(3, "analytic.example.simple", wrong, PATIENCE).await? else {
        panic!("the password is wrong");
    };
    assert_eq!((&error["code"], &error["message"]), (&json!(-32602), &json!("the password is wrong")));
    // An event is nothing that anybody can read. It does no harm.
    main.tell("analytic.example.simple").await?;
    eventually("the event is dropped", async || {
        Ok(bridge.metric_of("tpro_bridge_dropped_total", "no_request").await? == 1.0)
    })
    .await?;
    bridge.stop().await?;
    bridged.world.finish(&[&analytic]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_of_tpro_asks_a_go_service_and_each_form_of_an_answer_settles() -> Outcome {
    let bridged = Bridged::new().await?;
    let world = &bridged.world;
    let main = world.run("main").await?;
    let bridge = bridged.run(1, "analytic,co", "main").await?;
    let co = GoCopy::start(&bridged.old, "co", |run| match run.method.as_str() {
        "example.sum" => GoAnswer::Result(json!({"sum": run.body["a"].as_i64().unwrap_or(0) + 1})),
        "example.raise" => GoAnswer::PgError("the password is wrong".to_owned()),
        "example.fail" => GoAnswer::Error,
        _ => GoAnswer::WrongHandler,
    })
    .await?;

    let headers = json!({"request": {"type": "single"}, "content-language": "ru-RU", "mq_id": "mine"});
    let sum = Message::to("co.example.sum").body(json!({"a": 6})).headers(headers);
    let reply = world.ask(&sum).await?;
    assert_eq!((reply.status.as_str(), &reply.result), ("ok", &json!({"sum": 7})), "{reply:?}");
    assert_eq!(reply.responder.as_deref(), Some("co/go/0"));
    let raised = world.ask(&Message::to("co.example.raise")).await?;
    assert_eq!((raised.status.as_str(), raised.code()), ("error", -32000), "{raised:?}");
    assert_eq!(raised.error["message"], "the password is wrong");
    assert_eq!(raised.error["data"]["Code"], "P0001");
    let failed = world.ask(&Message::to("co.example.fail")).await?;
    assert_eq!(failed.error["message"], "the Go service gives no reason", "{failed:?}");
    let unknown = world.ask(&Message::to("co.example.no_such")).await?;
    assert_eq!((unknown.status.as_str(), unknown.code()), ("error", -32601), "{unknown:?}");
    // The Go system drops a body that is no object, so it does not get one.
    let list = world.ask(&Message::to("co.example.sum").body(json!([1]))).await?;
    assert_eq!((list.status.as_str(), list.code()), ("error", -32602), "{list:?}");
    // A service that knows nothing of JSON-RPC is asked in the same way.
    let plain = world.ask(&Message::to("co.example.sum").body(json!({"a": 1})).protocol("json")).await?;
    assert_eq!(plain.result, json!({"sum": 2}), "{plain:?}");
    // An event is a run, whose answer nobody reads.
    let event = world.ask(&Message::to("co.example.sum").timeout(0)).await?;
    assert_eq!(event.status, "ok");
    eventually("the event is a run", async || Ok(co.runs().len() == 6)).await?;

    assert_eq!(co.panicked(), None);
    let first = co.runs().remove(0);
    assert_eq!((first.method.as_str(), first.from_service.as_str()), ("example.sum", "main"));
    assert_eq!(first.body, json!({"a": 6}));
    assert_eq!(first.headers["request"], json!({"type": "single"}));
    assert!(first.headers["mq_id"].is_u64(), "{}", first.headers);
    let numbers: std::collections::BTreeSet<i64> = co.runs().iter().map(|run| run.mq_id).collect();
    assert_eq!(numbers.len(), 6, "each message has a number of its own");
    bridge.stop().await?;
    bridged.world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_call_of_a_handler_goes_over_the_bridge_and_back() -> Outcome {
    let bridged = Bridged::new().await?;
    let world = &bridged.world;
    let analytic = world.run("analytic").await?;
    let bridge = bridged.run(1, "main,co", "analytic").await?;
    let co = GoCopy::start(&bridged.old, "co", |_| {
        GoAnswer::Result(json!({"exampleRequestWithParallelQueries": 1000}))
    })
    .await?;
    // Go asks tpro, whose handler asks Go.
    let main = Arc::new(GoRequester::new(&bridged.old, "main").await?);
    let method = "analytic.example.request_with_parallel_queries_with_transit_on_external_service";
    let came = main.ask(1, method, json!({}), PATIENCE).await?.ok()?;
    let sum = came["exampleRequestWithParallelQueriesWithTransitOnExternalService"].as_i64();
    assert!(sum.is_some_and(|sum| sum >= 1000), "{came}");
    let runs = co.runs();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].from_service, "analytic");
    assert!(
        runs[0].headers["trace-id"].as_str().is_some_and(|id| id.contains("5b1f0c2d3e4f5061:")),
        "{runs:?}"
    );
    bridge.stop().await?;
    bridged.world.finish(&[&analytic]).await?;
    Ok(())
}
