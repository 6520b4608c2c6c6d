//! Batches of requests: one message, one outcome, one reply.

use async_nats::HeaderMap;
use serde_json::{Value, json};
use tpro_testkit::{Message, Outcome, World, eventually};

use crate::answerer::Answerer;
use crate::rogue::Rogue;
use crate::sql_handlers;

const INVALID_REQUEST: i64 = -32600;
const BAD_REPLY: i64 = -32009;

/// The message as a batch.
fn batch(message: Message) -> Message {
    message.headers(json!({"request": {"type": "batch"}}))
}

/// A batch to a method of `rogue`.
fn of_rogue(method: &str, bodies: Value) -> Message {
    batch(Rogue::request(method, bodies))
}

/// The numbers of the effects, in the order of the results.
fn numbers(results: &Value) -> Vec<i64> {
    results.as_array().into_iter().flatten().filter_map(|made| made["number"].as_i64()).collect()
}

/// The data of the error of the second request of three.
fn second_of_three(data: Option<Value>) -> Value {
    match data {
        Some(data) => json!({"index": 1, "count": 3, "data": data}),
        None => json!({"index": 1, "count": 3}),
    }
}

#[tpro_testkit::test]
async fn a_batch_has_all_its_effects_once_or_none_and_its_results_are_in_order() -> Outcome {
    let world = Rogue::world().await?;
    let [main, rogue] = [world.run("main").await?, world.start(Rogue::copy(&world, 1)?).await?];
    let reply = world.ask(&of_rogue("transactional.effect", json!([{}, {}, {}]))).await?;
    assert_eq!((numbers(&reply.ok()?), Rogue::effects(&world).await?), (vec![1, 2, 3], 3));

    for (end, code, text, data) in [
        ("fault", 7, "told to fail", Some(json!({"number": 2}))),
        ("internal", -32603, "internal error", None),
        ("panic", -32603, "internal error", None),
    ] {
        let bodies = json!([{}, {"end": end}, {}]);
        let reply = world.ask(&of_rogue("transactional.effect", bodies)).await?;
        let error = json!({"code": code, "message": format!("request 2 of 3: {text}"), "data": second_of_three(data)});
        assert_eq!((reply.status.as_str(), &reply.error, reply.attempts), ("error", &error, 1));
        assert_eq!(Rogue::effects(&world).await?, 3, "{end}: nothing of it stays");
    }
    assert!(rogue.log().contains("the handler failed at request 2 of 3"), "{}", rogue.log());

    // A body that does not fit, for a reader of Russian; a batch of one; the largest one.
    let misfit = of_rogue("transactional.effect", json!([{}, {"hold": "x"}, {}]));
    let russian = json!({"request": {"type": "batch"}, "content-language": "ru-RU"});
    let reply = world.ask(&misfit.headers(russian)).await?;
    let text = "запрос 2 из 3: поле hold не подходит: ожидается i64";
    assert_eq!((reply.code(), &reply.error["message"]), (-32602, &json!(text)), "{reply:?}");
    assert_eq!(reply.error["data"], second_of_three(Some(json!({"field": "hold"}))));
    let reply = world.ask(&of_rogue("transactional.effect", json!([{}]))).await?;
    assert_eq!(numbers(&reply.ok()?), [1]);
    let thousand: Vec<Value> = (0..1_000).map(|n| json!({ "n": n })).collect();
    let reply = world.ask(&of_rogue("stateless.echo", json!(thousand))).await?;
    assert_eq!(reply.ok()?, json!(thousand));

    // One row of the inbox and one span for each batch, however many requests it has.
    assert_eq!(world.count("SELECT count(*) FROM rogue_service.mq_outcome").await?, 6);
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_batch_in_the_other_ways_shares_its_transaction_if_it_has_one() -> Outcome {
    let world = Rogue::world().await?;
    let [main, rogue] = [world.run("main").await?, world.start(Rogue::copy(&world, 1)?).await?];
    // The effects that stay of a batch whose second request fails.
    for (method, stay) in [("default.tx", 0), ("default.effect", 2), ("stateless.effect", 2)] {
        let before = Rogue::effects(&world).await?;
        let reply = world.ask(&of_rogue(method, json!([{}, {}, {}]))).await?;
        assert_eq!(numbers(&reply.ok()?), [1, 2, 3], "{method}");
        assert_eq!(Rogue::effects(&world).await?, before + 3, "{method}");

        let reply = world.ask(&of_rogue(method, json!([{}, {"end": "fault"}, {}]))).await?;
        let data = second_of_three(Some(json!({"number": 2})));
        assert_eq!((reply.code(), &reply.error["data"]), (7, &data), "{method}: {reply:?}");
        assert_eq!(Rogue::effects(&world).await?, before + 3 + stay, "{method}");
    }
    // Calls of a batch are calls of one message.
    let reply = world.ask(&of_rogue("stateless.echo", json!([{"a": 1}, [2], {}]))).await?;
    assert_eq!(reply.ok()?, json!([{"a": 1}, [2], {}]));
    // An event of a batch is done as well, and nobody is told.
    let before = Rogue::effects(&world).await?;
    let event = world.publish(&of_rogue("transactional.effect", json!([{}, {}])).timeout(0)).await?;
    assert_eq!(world.await_reply(event).await?.ok()?, Value::Null);
    eventually("the event has its effects", async || Ok(Rogue::effects(&world).await? == before + 2)).await?;
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_batch_whose_copy_is_killed_in_the_middle_has_its_effects_once() -> Outcome {
    for method in ["transactional.effect", "default.tx"] {
        let world = Rogue::world().await?;
        let main = world.run("main").await?;
        let first = world.start(Rogue::copy(&world, 1)?).await?;
        let hold = Rogue::hold(&world).await?;
        let bodies = json!([{}, Rogue::held(), {}]);
        let id = world.publish(&of_rogue(method, bodies).timeout(60)).await?;
        Rogue::waiting(&world, 1).await?;
        first.kill().await?;
        let second = world.start(Rogue::copy(&world, 2)?).await?;
        drop(hold);
        let reply = world.await_reply(id).await?;
        assert!(reply.attempts > 1 && reply.copy() == "2", "{method}: {reply:?}");
        assert_eq!((numbers(&reply.ok()?), Rogue::effects(&world).await?), (vec![1, 2, 3], 3), "{method}");
        world.finish(&[&main, &second]).await?;
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_batch_whose_commit_was_not_told_is_answered_from_the_inbox() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let first = world.start(Rogue::copy(&world, 1)?.stand_still_at("inbox.after_outcome", 0)).await?;
    let id = world.publish(&of_rogue("transactional.effect", json!([{}, {}, {}])).timeout(60)).await?;
    first.stands_still_at("inbox.after_outcome").await?;
    assert_eq!(Rogue::effects(&world).await?, 3, "it is committed");
    first.kill().await?;
    let second = world.start(Rogue::copy(&world, 2)?).await?;
    let results = world.await_reply(id).await?.ok()?;
    let of_first =
        results.as_array().into_iter().flatten().filter(|made| made["pid"] == first.process().pid());
    assert_eq!((numbers(&results), of_first.count()), (vec![1, 2, 3], 3));
    assert_eq!(Rogue::effects(&world).await?, 3);
    world.finish(&[&main, &second]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_function_in_sql_runs_for_each_request_of_a_batch() -> Outcome {
    let world = sql_handlers::world().await?;
    let [main, shop] = [world.run("main").await?, world.start(sql_handlers::copy(&world, 1)?).await?];
    for entity in ["transactional", "stateless"] {
        let before = Rogue::effects(&world).await?;
        let ask = async |method: &str, bodies: Value| {
            world.ask(&batch(sql_handlers::request(&format!("{entity}.{method}"), bodies))).await
        };
        let results = ask("effect", json!([{}, {"what": "b"}, {}])).await?.ok()?;
        assert_eq!(
            (numbers(&results), Rogue::effects(&world).await?),
            (vec![1, 2, 3], before + 3),
            "{entity}"
        );
        let told = ask("tell", json!([{"a": 1}, [2]])).await?.ok()?;
        assert_eq!((&told[0]["body"], &told[1]["body"]), (&json!({"a": 1}), &json!([2])), "{told}");
        assert_eq!(told[0]["request"]["uid"], told[1]["request"]["uid"], "{told}");

        // The function takes no effect back by itself.
        let reply = ask("effect", json!([{}, {"what": "refused"}, {}])).await?;
        assert_eq!(reply.error["message"], "request 2 of 3: internal error", "{entity}: {reply:?}");
        let reply = ask("fail", json!([{"how": "caught"}, {"how": "fault"}, {}])).await?;
        let data = second_of_three(Some(json!({"free": [12, "canary"]})));
        assert_eq!((reply.code(), &reply.error["data"]), (7, &data), "{entity}: {reply:?}");
        assert_eq!(Rogue::effects(&world).await?, before + 3, "{entity}: nothing of these stays");
    }
    world.finish(&[&main, &shop]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_batch_that_is_put_off_is_sent_again_whole() -> Outcome {
    let world = Rogue::world().await?;
    world
        .admin
        .batch_execute("CREATE SEQUENCE public.runs; GRANT USAGE ON SEQUENCE public.runs TO rogue")
        .await?;
    let [main, rogue] = [world.run("main").await?, world.start(Rogue::copy(&world, 1)?).await?];
    let body = |times: i64| json!({"runs": "public.runs", "times": times, "seconds": 1});
    // Run 1 is of the first request and passes, run 2 is of the second and puts the batch off.
    let reply = world.ask(&of_rogue("transactional.put_off", json!([body(0), body(2)]))).await?;
    assert_eq!((reply.status.as_str(), reply.attempts), ("ok", 2), "{reply:?}");
    assert_eq!((numbers(&reply.result), Rogue::effects(&world).await?), (vec![1, 2], 2));
    let reply = world.ask(&of_rogue("transactional.put_off", json!([body(0), body(99)])).timeout(1)).await?;
    assert_eq!((reply.status.as_str(), reply.code()), ("error", 7), "{reply:?}");
    assert_eq!(reply.error["message"], "request 2 of 2: told to put it off");
    assert_eq!(Rogue::effects(&world).await?, 2, "nothing of it stays");
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

/// The answers of a service that is not of tpro to a batch of requests, in another order than
/// theirs: `{"fail": true}` has an error, and any other params are the result.
fn in_another_order(requests: &Value) -> Vec<Value> {
    let requests = requests.as_array().into_iter().flatten();
    let answer = |request: &Value| match request["params"]["fail"].as_bool() {
        Some(true) => {
            json!({"jsonrpc": "2.0", "id": request["id"], "error": {"code": 7, "message": "no", "data": [1]}})
        }
        _ => json!({"jsonrpc": "2.0", "id": request["id"], "result": request["params"]}),
    };
    requests.rev().map(answer).collect()
}

#[tpro_testkit::test]
async fn a_stranger_answers_a_batch_in_another_order_and_with_an_error() -> Outcome {
    let world = World::new().await?;
    let main = world.run("main").await?;
    let whole = |requests: Value| json!(in_another_order(&requests)).to_string();
    let _whole = Answerer::start(&world.nats, "tpro.old.thing.whole", whole).await?;
    let part = |requests: Value| json!(in_another_order(&requests)[1..]).to_string();
    let _part = Answerer::start(&world.nats, "tpro.old.thing.part", part).await?;
    let none = |_| json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "no batches"}});
    let _none = Answerer::start(&world.nats, "tpro.old.thing.none", move |it| none(it).to_string()).await?;
    let ask = async |method: &str, bodies: Value| {
        world.ask(&batch(Message::to(&format!("old.thing.{method}")).body(bodies))).await
    };
    let reply = ask("whole", json!([{"n": 1}, [2], {"n": 3}])).await?;
    assert_eq!((reply.attempts, reply.ok()?), (1, json!([{"n": 1}, [2], {"n": 3}])));

    let reply = ask("whole", json!([{"n": 1}, {"fail": true}, {"n": 3}])).await?;
    let error = json!({"code": 7, "message": "no", "data": [1]});
    let answers = json!([{"result": {"n": 1}}, {"error": error}, {"result": {"n": 3}}]);
    let data = json!({"index": 1, "count": 3, "data": [1], "answers": answers});
    assert_eq!(reply.error, json!({"code": 7, "message": "request 2 of 3: no", "data": data}));

    for (bodies, text) in [
        (json!([{}, {}]), "the reply to a batch of 2 requests has 1 answers"),
        (json!([{}]), "the reply to a batch of 1 requests has 0 answers"),
    ] {
        let reply = ask("part", bodies).await?;
        let read = (reply.status.as_str(), reply.code(), reply.error["message"].as_str());
        assert_eq!(read, ("error", BAD_REPLY, Some(text)), "it ends at once: {reply:?}");
    }
    let reply = ask("none", json!([{}, {}])).await?;
    assert_eq!(reply.error, json!({"code": INVALID_REQUEST, "message": "no batches"}));
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_stranger_asks_with_a_batch_under_ids_of_its_own() -> Outcome {
    let world = Rogue::world().await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let stranger = world.nats.client().await?;
    let ask = async |method: &str, requests: Value, uid: Option<&str>| -> Outcome<Value> {
        let mut headers = HeaderMap::new();
        if let Some(uid) = uid {
            headers.insert("Nats-Msg-Id", uid);
        }
        let (subject, payload) = (format!("tpro.rogue.{method}"), requests.to_string());
        let answer = stranger.request_with_headers(subject, headers, payload.into()).await?;
        Ok(serde_json::from_slice(&answer.payload)?)
    };
    let one = |id: Value, method: &str, params: Value| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    const METHOD: &str = "transactional.effect";
    let three = |end: &str| {
        json!([
            one(json!("a"), METHOD, json!({})),
            one(json!(7), METHOD, json!({"end": end})),
            one(json!(null), METHOD, json!({}))
        ])
    };
    let answer = ask(METHOD, three("well"), None).await?;
    let ids: Vec<&Value> = answer.as_array().into_iter().flatten().map(|one| &one["id"]).collect();
    assert_eq!(ids, [&json!("a"), &json!(7), &json!(null)], "{answer}");
    let made: Vec<i64> = (0..3).filter_map(|n| answer[n]["result"]["number"].as_i64()).collect();
    assert_eq!((made, Rogue::effects(&world).await?), (vec![1, 2, 3], 3), "{answer}");

    // The same question under one uid, with other ids, is a repeat.
    let uid: String = world.admin.query_one("SELECT tpro.uuid7()::text", &[]).await?.get(0);
    let first = ask(METHOD, json!([one(json!(1), METHOD, json!({}))]), Some(&uid)).await?;
    let again = ask(METHOD, json!([one(json!("x"), METHOD, json!({}))]), Some(&uid)).await?;
    assert_eq!((&first[0]["id"], &again[0]["id"]), (&json!(1), &json!("x")));
    assert_eq!((&first[0]["result"], Rogue::effects(&world).await?), (&again[0]["result"], 4), "{again}");
    let other = ask(METHOD, json!([one(json!(1), METHOD, json!({"n": 1}))]), Some(&uid)).await?;
    assert_eq!(other[0]["error"]["code"], INVALID_REQUEST, "{other}");

    let answer = ask(METHOD, three("fault"), None).await?;
    let codes: Vec<i64> = (0..3).filter_map(|n| answer[n]["error"]["code"].as_i64()).collect();
    assert_eq!((codes, Rogue::effects(&world).await?), (vec![-32013, 7, -32013], 4), "{answer}");
    assert_eq!(answer[1]["error"]["data"], second_of_three(Some(json!({"number": 2}))));

    // A batch that tpro does not take is answered as one.
    let silent = json!({"jsonrpc": "2.0", "method": METHOD, "params": {}});
    let good = one(json!(1), METHOD, json!({}));
    for requests in
        [json!([]), json!([1]), json!([good, one(json!(2), "default.effect", json!({}))]), json!([silent])]
    {
        let answer = ask(METHOD, requests, None).await?;
        assert_eq!(
            (&answer["id"], &answer["error"]["code"]),
            (&json!(null), &json!(INVALID_REQUEST)),
            "{answer}"
        );
    }
    assert_eq!(Rogue::effects(&world).await?, 4);
    world.finish(&[&rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_row_that_is_no_batch_is_settled_and_holds_up_no_other() -> Outcome {
    let world = Rogue::world().await?;
    let [main, rogue] = [world.run("main").await?, world.start(Rogue::copy(&world, 1)?).await?];
    // As a dump is restored: without the trigger that would refuse it.
    let mut ids = Vec::new();
    for (protocol, body) in [("jsonrpc", "{}"), ("jsonrpc", "[1]"), ("jsonrpc", "[]"), ("json", "[{}]")] {
        let insert = format!(
            "SET session_replication_role = replica;
             INSERT INTO main_service.mq_publish (protocol, service_name, entity, method_name, headers, body)
             VALUES ('{protocol}', 'rogue', 'default', 'echo', '{{\"request\": {{\"type\": \"batch\"}}}}', '{body}');
             RESET session_replication_role"
        );
        world.admin.batch_execute(&insert).await?;
        ids.push(world.count("SELECT max(id) FROM main_service.mq_publish").await?);
    }
    let reply = world.ask(&of_rogue("default.echo", json!([{"n": 1}]))).await?;
    assert_eq!(reply.ok()?, json!([{"n": 1}]));
    for (id, column) in ids.into_iter().zip(["body", "body", "body", "protocol"]) {
        let reply = world.await_reply(id).await?;
        let text =
            format!("the row cannot be sent: its {column} has a value that a publish would have refused");
        assert_eq!((reply.code(), &reply.error["message"]), (INVALID_REQUEST, &json!(text)), "{reply:?}");
    }
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}
