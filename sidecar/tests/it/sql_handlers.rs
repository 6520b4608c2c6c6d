//! Handlers that are functions in SQL, served by the ready-made program `tpro-service`.

use std::sync::Arc;

use serde_json::{Value, json};
use tpro_testkit::{Message, Outcome, Sidecar, SidecarProcess, World, eventually, paths};

use crate::rogue::Rogue;

const INTERNAL: i64 = -32603;
const METHOD_NOT_FOUND: i64 = -32601;
const TIMEOUT: i64 = -32002;

/// Makes the table of effects and three functions: one with an effect, which waits for the lock of
/// [`Rogue::hold`] if its body says so, one that tells what it knows, and one that fails as it is
/// told to.
const SHOP: &str = "
    CREATE TABLE public.effect (uid uuid NOT NULL, what text NOT NULL CHECK (what <> 'refused'));
    CREATE SEQUENCE public.tries;
    GRANT SELECT, INSERT ON public.effect TO shop_sidecar;
    GRANT USAGE ON SEQUENCE public.tries TO shop_sidecar;
    CREATE FUNCTION public.sell(body jsonb, request tpro.request_row) RETURNS jsonb LANGUAGE plpgsql AS $$
    DECLARE
        number bigint;
    BEGIN
        INSERT INTO public.effect VALUES (request.uid, coalesce(body->>'what', 'effect'));
        IF body ? 'hold' THEN
            PERFORM pg_advisory_xact_lock_shared((body->>'hold')::bigint);
        END IF;
        IF body ? 'publish' THEN
            PERFORM tpro.publish('main', 'thing', 'sold', body, timeout => 0);
        END IF;
        SELECT count(*) INTO number FROM public.effect WHERE uid = request.uid;
        RETURN jsonb_build_object('number', number);
    END $$;
    CREATE FUNCTION public.tell(body jsonb, request tpro.request_row) RETURNS jsonb LANGUAGE sql AS
        'SELECT jsonb_build_object(''body'', body, ''request'', to_jsonb(request), ''in_time'', request.deadline > clock_timestamp())';
    CREATE FUNCTION public.fail(body jsonb, request tpro.request_row) RETURNS jsonb LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.effect VALUES (request.uid, 'failed');
        CASE body->>'how'
            WHEN 'fault' THEN PERFORM tpro.raise_fault(7, 'no more seats', '{\"free\": [12, \"canary\"]}');
            WHEN 'bare' THEN PERFORM tpro.raise_fault(-32602, 'the seat is unknown');
            WHEN 'caught' THEN
                BEGIN
                    PERFORM tpro.raise_fault(7, 'no more seats');
                EXCEPTION WHEN SQLSTATE 'TP001' THEN
                    RETURN jsonb_build_object('caught', SQLERRM);
                END;
            WHEN 'row' THEN INSERT INTO public.effect VALUES (request.uid, 'refused');
            WHEN 'state' THEN RAISE EXCEPTION 'canary' USING ERRCODE = body->>'state';
            WHEN 'again' THEN
                IF nextval('public.tries') < 3 THEN
                    RAISE serialization_failure USING MESSAGE = 'again';
                END IF;
            WHEN 'pause' THEN PERFORM pg_sleep(60);
        END CASE;
        RETURN NULL;
    END $$;
    SELECT tpro.handle('transactional', 'effect', 'public.sell'::regproc, service => 'shop');
    SELECT tpro.handle('transactional', 'tell', 'public.tell(jsonb, tpro.request_row)', service => 'shop');
    SELECT tpro.handle('transactional', 'fail', 'public.fail'::regproc, service => 'shop');
    SELECT tpro.handle('stateless', 'effect', 'public.sell'::regproc, 'stateless', service => 'shop');
    SELECT tpro.handle('stateless', 'tell', 'public.tell'::regproc, 'stateless', service => 'shop');
    SELECT tpro.handle('stateless', 'fail', 'public.fail'::regproc, 'stateless', service => 'shop');";

/// The two ways in which a function is served.
const ENTITIES: [&str; 2] = ["transactional", "stateless"];

/// A world with services `main` and `shop`, whose handlers are functions.
pub async fn world() -> Outcome<World> {
    let world = World::options().services(&["main", "shop"]).start().await?;
    world.admin.batch_execute(SHOP).await?;
    Ok(world)
}

/// A copy of `shop`.
pub fn copy(world: &World, number: u32) -> Outcome<Sidecar> {
    Ok(world.sidecar_of("shop", paths::binary("tpro-service", "tpro-sql-service")?).copy(number))
}

async fn both(world: &World) -> Outcome<[Arc<SidecarProcess>; 2]> {
    Ok([world.run("main").await?, world.start(copy(world, 1)?).await?])
}

/// A request to one of its methods.
pub fn request(method: &str, body: Value) -> Message {
    Message::to(&format!("shop.{method}")).body(body)
}

#[tpro_testkit::test]
async fn a_function_answers_in_both_modes_and_knows_its_message() -> Outcome {
    let world = world().await?;
    let [main, shop] = both(&world).await?;
    for entity in ENTITIES {
        let body = json!({"n": 1.50, "text": "ü"});
        let message = request(&format!("{entity}.tell"), body.clone());
        let id = world.publish(&message.headers(json!({"content-language": "ru-RU", "x": 1}))).await?;
        let told = world.await_reply(id).await?.ok()?;
        let row = "SELECT uid::text, substr(traceparent, 4, 32) FROM main_service.mq_publish WHERE id = $1";
        let row = world.admin.query_one(row, &[&id]).await?;
        assert_eq!((&told["body"], &told["in_time"]), (&body, &json!(true)), "{told}");
        let request = &told["request"];
        for (attribute, value) in [
            ("uid", json!(row.get::<_, String>(0))),
            ("trace_id", json!(row.get::<_, String>(1))),
            ("space_name", json!("tpro")),
            ("service_name", json!("shop")),
            ("entity", json!(entity)),
            ("method_name", json!("tell")),
            ("sender", json!("main")),
            ("attempt", json!(1)),
            ("language", json!("ru-RU")),
        ] {
            assert_eq!(request[attribute], value, "{attribute} of {request}");
        }
        assert_eq!(request["headers"]["x"], 1, "{request}");
        assert!(request["sender_instance"].is_string() && request["traceparent"].is_string(), "{request}");

        // The function publishes within its transaction, in the name of its service.
        let sold = world.ask(&request_to_publish(entity)).await?.ok()?;
        assert_eq!(sold, json!({"number": 1}));
    }
    let published = "SELECT count(*) FROM shop_service.mq_publish WHERE entity = 'thing'";
    assert_eq!((world.count(published).await?, Rogue::effects(&world).await?), (2, 2));
    // A stranger without a uid, with a body that is JSON and no jsonb.
    let reply = world.ask(&request("transactional.none", json!({}))).await?;
    assert_eq!(reply.code(), METHOD_NOT_FOUND, "{reply:?}");
    world.finish(&[&main, &shop]).await?;
    Ok(())
}

fn request_to_publish(entity: &str) -> Message {
    request(&format!("{entity}.effect"), json!({"publish": true}))
}

#[tpro_testkit::test]
async fn a_copy_that_is_killed_within_a_function_leaves_nothing_and_another_runs_it() -> Outcome {
    let world = world().await?;
    let [main, first] = both(&world).await?;
    let hold = Rogue::hold(&world).await?;
    let id = world.publish(&request("transactional.effect", Rogue::held()).timeout(60)).await?;
    Rogue::waiting(&world, 1).await?;
    first.kill().await?;
    let second = world.start(copy(&world, 2)?).await?;
    drop(hold);
    let reply = world.await_reply(id).await?;
    assert_eq!(reply.clone().ok()?, json!({"number": 1}));
    assert_eq!((reply.copy(), Rogue::effects(&world).await?), ("2", 1), "its effect is there once");
    world.finish(&[&main, &second]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_function_whose_commit_was_not_told_is_not_run_again() -> Outcome {
    let world = world().await?;
    let main = world.run("main").await?;
    let first = world.start(copy(&world, 1)?.stand_still_at("inbox.after_outcome", 0)).await?;
    let id = world.publish(&request("transactional.effect", json!({})).timeout(60)).await?;
    first.stands_still_at("inbox.after_outcome").await?;
    assert_eq!(Rogue::effects(&world).await?, 1, "it is committed");
    first.kill().await?;
    let second = world.start(copy(&world, 2)?).await?;
    assert_eq!(world.await_reply(id).await?.ok()?, json!({"number": 1}));
    assert_eq!(Rogue::effects(&world).await?, 1);
    world.finish(&[&main, &second]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_fault_is_told_to_the_caller_and_any_other_error_to_the_log() -> Outcome {
    let world = world().await?;
    let [main, shop] = both(&world).await?;
    for entity in ENTITIES {
        let before = Rogue::effects(&world).await?;
        let fail = async |body: Value| world.ask(&request(&format!("{entity}.fail"), body)).await;
        let reply = fail(json!({"how": "fault"})).await?;
        let told = json!({"code": 7, "message": "no more seats", "data": {"free": [12, "canary"]}});
        assert_eq!((reply.status.as_str(), &reply.error), ("error", &told));
        let reply = fail(json!({"how": "bare"})).await?;
        assert_eq!(reply.error, json!({"code": -32602, "message": "the seat is unknown"}));
        assert_eq!(Rogue::effects(&world).await?, before, "what failed has no effect");
        assert_eq!(fail(json!({"how": "caught"})).await?.ok()?, json!({"caught": "no more seats"}));

        // A constraint, a division, a lock that was not there, an error of the author's own.
        let bodies = ["23503", "22012", "55P03", "P0001", "XX000"]
            .map(|state| json!({"how": "state", "state": state}));
        for body in bodies.into_iter().chain([json!({"how": "row"}), json!({"how": "unknown"})]) {
            let reply = fail(body.clone()).await?;
            let internal = json!({"code": INTERNAL, "message": "internal error"});
            assert_eq!((reply.status.as_str(), &reply.error), ("error", &internal), "{body}");
            assert_eq!(reply.attempts, 1, "{body}");
        }
        // The accept was not poisoned, and the connection is good for the next message.
        let sold = world.ask(&request(&format!("{entity}.effect"), json!({}))).await?.ok()?;
        assert_eq!((sold, Rogue::effects(&world).await?), (json!({"number": 1}), before + 2));
        world.admin.batch_execute("SELECT setval('public.tries', 1, false)").await?;

        // The server asks for another run.
        assert_eq!(fail(json!({"how": "again"})).await?.ok()?, Value::Null);
        assert_eq!(
            (Rogue::effects(&world).await?, world.count("SELECT last_value FROM public.tries").await?),
            (before + 3, 3)
        );
    }
    let log = shop.log();
    for words in [
        "SQLSTATE 23514, constraint effect_what_check",
        "SQLSTATE 22012",
        "PL/pgSQL function fail(jsonb,tpro.request_row) line",
    ] {
        assert!(log.contains(words), "{words} is not in\n{log}");
    }
    let trace = "SELECT substr(p.traceparent, 4, 32) FROM main_service.mq_publish p
                  WHERE p.body->>'how' = 'row' AND p.entity = 'transactional'";
    let trace: String = world.admin.query_one(trace, &[]).await?.get(0);
    assert!(log.lines().any(|line| line.contains(&trace) && line.contains("23514")), "{log}");
    assert!(!log.contains("canary"), "{log}");
    world.finish(&[&main, &shop]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_data_of_a_fault_is_in_no_log_of_the_server() -> Outcome {
    let world = world().await?;
    let [main, shop] = both(&world).await?;
    let reply = world.ask(&request("transactional.fail", json!({"how": "fault"}))).await?;
    assert_eq!(reply.error["data"]["free"][1], "canary");
    let log = world.database.cluster().log();
    // The statements of this test are in the log of a server that logs them; the error is not.
    assert!(log.lines().filter(|line| line.contains("canary")).all(|line| !line.contains("DETAIL")), "{log}");
    world.finish(&[&main, &shop]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_function_is_replaced_added_and_removed_while_its_service_runs() -> Outcome {
    let world = world().await?;
    let [main, shop] = both(&world).await?;
    for release in 1..=3 {
        world
            .admin
            .batch_execute(&format!(
                "CREATE OR REPLACE FUNCTION public.tell(body jsonb, request tpro.request_row) RETURNS jsonb LANGUAGE sql AS
                 'SELECT to_jsonb({release})'"
            ))
            .await?;
        for entity in ENTITIES {
            let told = world.ask(&request(&format!("{entity}.tell"), json!({}))).await?.ok()?;
            assert_eq!(told, json!(release), "the next message sees it");
        }
    }
    // Also a function that was dropped and made again.
    world
        .admin
        .batch_execute(
            "DROP FUNCTION public.tell; CREATE FUNCTION public.tell(body jsonb, r tpro.request_row) RETURNS jsonb
             LANGUAGE sql AS 'SELECT to_jsonb(4)'",
        )
        .await?;
    assert_eq!(world.ask(&request("transactional.tell", json!({}))).await?.ok()?, json!(4));

    // A method answers as soon as it is there, although others were asked for just now.
    let unknown = world.ask(&request("transactional.new", json!({}))).await?;
    assert_eq!(unknown.code(), METHOD_NOT_FOUND, "{unknown:?}");
    world
        .admin
        .batch_execute(
            "SELECT tpro.handle('transactional', 'new', 'public.tell'::regproc, service => 'shop')",
        )
        .await?;
    assert_eq!(world.ask(&request("transactional.new", json!({}))).await?.ok()?, json!(4));
    // Another function for it, and then none.
    world
        .admin
        .batch_execute(
            "SELECT tpro.handle('transactional', 'new', 'public.sell'::regproc, service => 'shop')",
        )
        .await?;
    eventually("the other function answers", async || {
        Ok(world.ask(&request("transactional.new", json!({}))).await?.ok()? == json!({"number": 1}))
    })
    .await?;
    let removed =
        "SELECT tpro.unhandle('transactional', 'new', 'shop'), tpro.unhandle('transactional', 'new', 'shop')";
    let removed = world.admin.query_one(removed, &[]).await?;
    assert_eq!((removed.get::<_, bool>(0), removed.get::<_, bool>(1)), (true, false));
    eventually("nobody answers it", async || {
        Ok(world.ask(&request("transactional.new", json!({}))).await?.code() == METHOD_NOT_FOUND)
    })
    .await?;
    // A function that is gone is an error of the service.
    world.admin.batch_execute("DROP FUNCTION public.tell").await?;
    let reply = world.ask(&request("transactional.tell", json!({}))).await?;
    assert_eq!(reply.code(), INTERNAL, "{reply:?}");
    assert!(shop.log().contains("SQLSTATE 42883"), "{}", shop.log());
    world.finish(&[&main, &shop]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_function_is_stopped_when_its_time_is_over() -> Outcome {
    let world = world().await?;
    let [main, shop] = both(&world).await?;
    let limited = "SELECT tpro.handle(e, 'limited', 'public.fail'::regproc, m, 1, 'shop')
                     FROM (VALUES ('transactional', 'transactional'), ('stateless', 'stateless')) AS v (e, m)";
    world.admin.batch_execute(limited).await?;
    for entity in ENTITIES {
        for (method, timeout) in [("limited", 20), ("fail", 1)] {
            let message = request(&format!("{entity}.{method}"), json!({"how": "pause"})).timeout(timeout);
            let reply = world.ask(&message).await?;
            let limited = reply.status == "error" && reply.code() == TIMEOUT;
            assert!(if timeout == 1 { reply.status == "timeout" || limited } else { limited }, "{reply:?}");
        }
    }
    let at_work = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop' AND state = 'active' AND wait_event = 'PgSleep'";
    eventually("no function works on", async || Ok(world.count(at_work).await? == 0)).await?;
    assert_eq!(Rogue::effects(&world).await?, 0);
    world.finish(&[&main, &shop]).await?;
    Ok(())
}

/// A program with handlers of its own has those in SQL, too; its own go first.
#[tpro_testkit::test]
async fn a_service_in_rust_has_functions_for_the_methods_that_its_program_lacks() -> Outcome {
    let world = Rogue::world().await?;
    world
        .admin
        .batch_execute(
            "CREATE FUNCTION public.one(body jsonb, request tpro.request_row) RETURNS jsonb LANGUAGE sql AS 'SELECT to_jsonb(1)';
             SELECT tpro.handle('in', 'sql', 'public.one'::regproc, service => 'rogue');
             SELECT tpro.handle('stateless', 'echo', 'public.one'::regproc, service => 'rogue');",
        )
        .await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    assert_eq!(world.ask(&Rogue::request("in.sql", json!({}))).await?.ok()?, json!(1));
    let body = json!({"of": "rust"});
    assert_eq!(world.ask(&Rogue::request("stateless.echo", body.clone())).await?.ok()?, body);
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}
