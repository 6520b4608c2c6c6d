//! The statements that users of the system before this one write, and what comes back.

use serde_json::json;
use tpro_testkit::{Failure, Message, Outcome, Reply, SidecarProcess, World, eventually};

use crate::login;

const SIMPLE: &str = r#"
INSERT INTO main_service.mq_publish (protocol,space_name,service_name,entity,method_name,timeout,headers,body)
VALUES ('jsonrpc','tpro','analytic','example','simple',15,'{"request":{"type":"single"}, "content-language":"ru-RU"}','{"ip":"172.19.0.8", "login":"login342", "password":"phnd26w"}');
"#;
const PARALLEL: &str = r#"
INSERT INTO main_service.mq_publish (protocol,space_name,service_name,entity,method_name,timeout,headers,body)
VALUES ('jsonrpc','tpro','analytic','example','request_with_parallel_queries',15,'{"request":{"type":"single"}, "content-language":"ru-RU"}','{"ip":"172.19.0.8", "login":"login3422", "password":"phnd26w"}');
"#;
const TRANSIT: &str = r#"
INSERT INTO main_service.mq_publish (protocol,space_name,service_name,entity,method_name,timeout,headers,body)
VALUES ('jsonrpc','tpro','analytic','example','request_with_parallel_queries_with_transit_on_external_service',30,'{"request":{"type":"single"}, "content-language":"ru-RU"}','{"ip":"172.19.0.8", "login":"login3422", "password":"phnd26w"}');
"#;

#[tpro_testkit::test]
async fn the_three_statements_are_answered() -> Outcome {
    let world = World::demo().await?;
    let main = world.run("main").await?;
    let analytic = world.run("analytic").await?;
    let co = world.run("co").await?;

    let simple = insert(&world, SIMPLE).await?.ok()?;
    assert!(!simple["sid"].is_null() && !simple["face_id"].is_null(), "{simple}");

    // The minute may roll over while the answer is on its way.
    let sum = |(hour, minute)| hour + minute;
    let before = sum(login::clock(&world).await?);
    let parallel = insert(&world, PARALLEL).await?;
    assert_eq!(parallel.responder.as_deref(), Some("analytic/1.0/1"));
    assert_eq!(parallel.attempts, 1);
    let parallel = parallel.ok()?["exampleRequestWithParallelQueries"].as_i64();
    let after = sum(login::clock(&world).await?);
    assert!(
        parallel == Some(before) || parallel == Some(after),
        "{parallel:?} is neither {before} nor {after}"
    );

    let before = sum(login::clock(&world).await?);
    let transit = insert(&world, TRANSIT).await?.ok()?;
    let transit = transit["exampleRequestWithParallelQueriesWithTransitOnExternalService"].as_i64();
    let after = sum(login::clock(&world).await?);
    // The four clocks are read one by one, so that anything between all before and all after is right.
    let possible = [before * 2 + 4, before + after + 4, after * 2 + 4];
    assert!(possible.iter().any(|sum| transit == Some(*sum)), "{transit:?} is none of {possible:?}");

    let faults = world.count("SELECT count(*) FROM main_service.mq_reply_fault").await?;
    assert_eq!(faults, 0, "the reply handlers of main have run");
    eventually("they are counted", async || Ok(main.metric("tpro_reply_handlers_total").await? == 3.0))
        .await?;
    world.finish(&[&main, &analytic, &co]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_wrong_login_is_an_error_that_names_the_field_and_not_the_value() -> Outcome {
    let world = World::demo().await?;
    let main = world.run("main").await?;
    let analytic = world.run("analytic").await?;

    for (field, wrong) in [("password", "wrong-9f2c"), ("login", "nobody-9f2c"), ("ip", "10.9.8.7")] {
        let mut body = login::body();
        body[field] = json!(wrong);
        let reply = world.ask(&Message::to("analytic.example.simple").body(body)).await?;
        assert_eq!(reply.status, "error", "a wrong {field}: {reply:?}");
        let error = reply.error.to_string();
        assert!(error.contains(field), "the error does not name the {field}: {error}");
        assert!(!error.contains(wrong), "the error repeats the {field}: {error}");
    }

    world.finish(&[&main, &analytic]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_body_that_does_not_fit_names_the_field() -> Outcome {
    let world = World::demo().await?;
    let main = world.run("main").await?;
    let analytic = world.run("analytic").await?;

    let reply = world
        .ask(&Message::to("analytic.example.simple").body(json!({"ip": "172.19.0.8", "login": "x"})))
        .await?;
    assert_eq!((reply.status.as_str(), reply.code()), ("error", -32602), "{reply:?}");
    assert!(reply.error.to_string().contains("password"), "{reply:?}");

    world.finish(&[&main, &analytic]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn an_unknown_method_is_an_error() -> Outcome {
    let world = World::new().await?;
    let main = world.run("main").await?;
    let analytic = world.run("analytic").await?;

    let reply = world.ask(&Message::to("analytic.example.no_such_method")).await?;
    assert_eq!((reply.status.as_str(), reply.code()), ("error", -32601), "{reply:?}");

    world.finish(&[&main, &analytic]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_that_nobody_runs_is_unavailable_when_the_budget_is_spent() -> Outcome {
    let world = World::new().await?;
    let main = world.run("main").await?;

    let (reply, before) = refused(&world, &main).await?;
    assert_eq!((reply.status.as_str(), reply.code()), ("unavailable", -32001), "{reply:?}");
    assert!(reply.attempts > 1, "it is asked for again inside the budget: {reply:?}");
    let text = reply.error["message"].as_str().unwrap_or_default().to_owned();
    assert!(text.contains("nobody runs service analytic") && text.contains("2 s"), "{text}");
    assert_eq!(
        main.metric_of("tpro_refused_total", r#"reason="no_responders""#).await? - before,
        f64::from(reply.attempts),
        "nobody took any of them"
    );
    // The budget is what it waits for a copy, so that one that comes in time answers.
    let id = world.publish(&Message::to("analytic.example.no_such_method").timeout(60)).await?;
    let before = main.metric("tpro_refused_total").await?;
    eventually("it was refused again", async || Ok(main.metric("tpro_refused_total").await? > before))
        .await?;
    let analytic = world.run("analytic").await?;
    assert_eq!(world.await_reply(id).await?.code(), -32601, "a copy has answered");

    world.finish(&[&main, &analytic]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn main_answers_too() -> Outcome {
    let world = World::new().await?;
    let main = world.run("main").await?;
    let analytic = world.run("analytic").await?;

    let (_, before) = login::clock(&world).await?;
    let id = Message::to("main.company.winners").from("analytic").publish(&world.admin).await?;
    let winners = Reply::wait(&world.admin, "analytic", id).await?.ok()?["winners"].as_i64();
    let (_, after) = login::clock(&world).await?;
    assert!(winners == Some(before) || winners == Some(after), "{winners:?} is neither {before} nor {after}");

    world.finish(&[&main, &analytic]).await?;
    Ok(())
}

/// Runs one of the statements as `main`, to the letter, and waits for the reply.
async fn insert(world: &World, statement: &str) -> Outcome<Reply> {
    world.main.batch_execute(statement).await?;
    let id = world.count("SELECT max(id) FROM main_service.mq_publish").await?;
    world.await_reply(id).await
}

/// Asks a service that nobody runs; returns the reply, and how often anything was refused before. When the last attempt is on its
/// way at the end of the budget nobody can say that it was not taken, and the reply is a timeout: then it asks once more.
async fn refused(world: &World, main: &SidecarProcess) -> Outcome<(Reply, f64)> {
    for _ in 0..3 {
        let before = main.metric_of("tpro_refused_total", r#"reason="no_responders""#).await?;
        let reply = world.ask(&Message::to("analytic.example.simple").timeout(2)).await?;
        if reply.status != "timeout" {
            return Ok((reply, before));
        }
    }
    Err(Failure::new("three budgets ended in the middle of an attempt"))
}
