//! Reply handlers that are functions in SQL, which `tpro.on_reply` names.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tpro_testkit::{Message, Outcome, World, eventually};

use crate::answerer::Answerer;
use crate::rogue::Rogue;

/// Makes the table of effects and the function that handles replies. What it does beside its note
/// is in the result.
const NOTE: &str = "
    CREATE TABLE public.noted (id bigint, reply jsonb);
    CREATE SEQUENCE public.tries;
    GRANT SELECT, INSERT ON public.noted TO main_sidecar;
    GRANT USAGE ON SEQUENCE public.tries TO main_sidecar;
    CREATE FUNCTION public.note(reply tpro.reply_row) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.noted VALUES (reply.id, to_jsonb(reply));
        IF reply.result ? 'hold' THEN
            PERFORM pg_advisory_xact_lock_shared((reply.result->>'hold')::bigint);
        END IF;
        CASE coalesce(reply.result->>'how', '')
            WHEN 'state' THEN RAISE EXCEPTION 'canary' USING ERRCODE = reply.result->>'state';
            WHEN 'publish' THEN PERFORM tpro.publish('late', 'thing', 'next', reply.result, protocol => 'json');
            WHEN 'again' THEN
                IF nextval('public.tries') < 3 THEN
                    RAISE serialization_failure USING MESSAGE = 'again';
                END IF;
            ELSE NULL;
        END CASE;
    END $$;
    CREATE FUNCTION public.failed(reply tpro.reply_row) RETURNS void LANGUAGE sql AS
        'INSERT INTO public.noted VALUES (reply.id, jsonb_build_object(''failed'', to_jsonb(reply)))';";

async fn world() -> Outcome<World> {
    let world = World::new().await?;
    world.admin.batch_execute(NOTE).await?;
    world.admin.batch_execute("SET tpro.sender = 'main'").await?;
    Ok(world)
}

/// Has the function handle the replies of a method of the service `late`.
async fn name(world: &World, method: &str) -> Outcome {
    let name =
        format!("SELECT tpro.on_reply('late', 'thing', '{method}', 'note'::regproc, 'failed'::regproc)");
    Ok(world.admin.batch_execute(&name).await?)
}

fn request(method: &str, body: Value) -> Message {
    Message::to(&format!("late.thing.{method}")).protocol("json").body(body).timeout(60)
}

async fn echo(world: &World) -> Outcome<Answerer> {
    Answerer::echo(&world.nats, "tpro.late.thing.*").await
}

/// The notes of a message.
async fn notes(world: &World, id: i64) -> Outcome<Vec<Value>> {
    let rows = world.admin.query("SELECT reply::text FROM public.noted WHERE id = $1", &[&id]).await?;
    rows.iter().map(|row| Ok(serde_json::from_str(row.get(0))?)).collect()
}

#[tpro_testkit::test]
async fn a_function_handles_each_reply_that_is_written_after_it_was_named() -> Outcome {
    let world = world().await?;
    let main = world.run("main").await?;
    let before = echo(&world).await?;
    let early = world.publish(&request("ask", json!({}))).await?;
    world.await_reply(early).await?.ok()?;
    drop(before);

    // Its message is on its way when the function is named.
    let flying = world.publish(&request("ask", json!({"n": 1.50, "text": "ü"}))).await?;
    eventually("nobody takes it", async || Ok(main.log().contains("nobody runs service late"))).await?;
    name(&world, "ask").await?;
    let _late = echo(&world).await?;
    let reply = world.await_reply(flying).await?;
    let noted = notes(&world, flying).await?;
    assert_eq!(noted.len(), 1, "{noted:?}");
    let row = "SELECT uid::text, substr(traceparent, 4, 32) FROM main_service.mq_publish WHERE id = $1";
    let row = world.admin.query_one(row, &[&flying]).await?;
    for (attribute, value) in [
        ("id", json!(flying)),
        ("uid", json!(row.get::<_, String>(0))),
        ("trace_id", json!(row.get::<_, String>(1))),
        ("space_name", json!("tpro")),
        ("service_name", json!("late")),
        ("entity", json!("thing")),
        ("method_name", json!("ask")),
        ("status", json!("ok")),
        ("result", reply.result.clone()),
        ("error", Value::Null),
        ("attempts", json!(reply.attempts)),
        ("responder", json!(reply.responder)),
        ("reply_to", Value::Null),
    ] {
        assert_eq!(noted[0][attribute], value, "{attribute} of {noted:?}");
    }
    assert!(notes(&world, early).await?.is_empty(), "its reply was there before");

    // The function publishes a message, which belongs to the same transaction.
    let published = world.publish(&request("ask", json!({"how": "publish"}))).await?;
    world.await_reply(published).await?.ok()?;
    let next = "SELECT count(*) FROM main_service.mq_publish WHERE method_name = 'next'";
    assert_eq!(world.count(next).await?, 1);

    // Taken back, and named again.
    for times in [0, 1] {
        let change = match times {
            0 => "SELECT tpro.off_reply('late', 'thing', 'ask')".to_owned(),
            _ => "SELECT tpro.on_reply('late', 'thing', 'ask', 'note'::regproc)".to_owned(),
        };
        world.admin.batch_execute(&change).await?;
        let id = world.publish(&request("ask", json!({}))).await?;
        world.await_reply(id).await?.ok()?;
        assert_eq!(notes(&world, id).await?.len(), times, "after {change}");
    }
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_reply_that_is_not_ok_goes_to_the_other_function_or_to_none() -> Outcome {
    let world = world().await?;
    let main = world.run("main").await?;
    name(&world, "ask").await?;
    world.admin.batch_execute("SELECT tpro.on_reply('late', 'thing', 'ok', 'note'::regproc)").await?;
    for (method, times) in [("ask", 1), ("ok", 0)] {
        let id = world.publish(&request(method, json!({})).timeout(1)).await?;
        let reply = world.await_reply(id).await?;
        assert_eq!(reply.status, "unavailable");
        let noted = notes(&world, id).await?;
        assert_eq!(noted.len(), times, "{method}: {noted:?}");
        if let Some(failed) = noted.first() {
            let failed = &failed["failed"];
            assert_eq!((&failed["status"], &failed["error"]), (&json!("unavailable"), &reply.error));
            assert_eq!((&failed["result"], &failed["attempts"]), (&Value::Null, &json!(reply.attempts)));
        }
    }
    // An operator writes the reply: nobody handles it.
    let id = world.publish(&request("ask", json!({}))).await?;
    world.admin.execute("SELECT tpro.cancel($1)", &[&id]).await?;
    assert_eq!(world.await_reply(id).await?.status, "cancelled");
    assert!(notes(&world, id).await?.is_empty());
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_function_that_fails_is_undone_and_the_reply_is_kept() -> Outcome {
    let world = world().await?;
    let (main, _late) = (world.run("main").await?, echo(&world).await?);
    name(&world, "ask").await?;
    let fault = "SELECT f.error FROM main_service.mq_reply_fault f WHERE f.mq_id = $1";
    for state in ["22012", "P0001", "TP001"] {
        let id = world.publish(&request("ask", json!({"how": "state", "state": state}))).await?;
        assert_eq!(world.await_reply(id).await?.status, "ok", "{state}");
        assert!(notes(&world, id).await?.is_empty(), "{state}: its part is undone");
        let error: String = world.admin.query_one(fault, &[&id]).await?.get(0);
        assert!(error.contains(state) || state == "TP001", "{error}");
    }
    // The server asks for another run.
    let id = world.publish(&request("ask", json!({"how": "again"}))).await?;
    world.await_reply(id).await?.ok()?;
    assert_eq!(
        (notes(&world, id).await?.len(), world.count("SELECT last_value FROM public.tries").await?),
        (1, 3)
    );
    // It is gone, or is not for the service any more.
    for (change, code) in [
        ("REVOKE EXECUTE ON FUNCTION public.note FROM PUBLIC", "42501"),
        ("DROP FUNCTION public.note", "42883"),
    ] {
        world.admin.batch_execute(change).await?;
        let id = world.publish(&request("ask", json!({}))).await?;
        world.await_reply(id).await?.ok()?;
        let error: String = world.admin.query_one(fault, &[&id]).await?.get(0);
        assert!(error.contains(code), "{change}: {error}");
    }
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_copy_that_is_killed_within_a_function_leaves_nothing_and_another_runs_it() -> Outcome {
    let world = world().await?;
    let (first, _late) = (world.run("main").await?, echo(&world).await?);
    name(&world, "ask").await?;
    let hold = Rogue::hold(&world).await?;
    let id = world.publish(&request("ask", Rogue::held())).await?;
    Rogue::waiting(&world, 1).await?;
    first.kill().await?;
    let second = world.start(world.sidecar("main")?.copy(2)).await?;
    drop(hold);
    world.await_reply(id).await?.ok()?;
    assert_eq!(notes(&world, id).await?.len(), 1, "its effect is there once");
    world.finish(&[&second]).await?;
    Ok(())
}

/// Publishes a message that names a function for its reply, to a method that may have another.
async fn publish_with(world: &World, service: &str, function: &str) -> Outcome<i64> {
    let publish = "SELECT tpro.publish($1::text, 'thing', 'ask', '{}'::jsonb, timeout => 1, protocol => 'json', on_reply => $2)";
    Ok(world.admin.query_one(publish, &[&service, &function]).await?.try_get(0)?)
}

#[tpro_testkit::test]
async fn the_function_that_a_message_names_goes_before_that_of_its_method() -> Outcome {
    let world = world().await?;
    let (main, _late) = (world.run("main").await?, echo(&world).await?);
    name(&world, "ask").await?;
    let odd = r#"public."odd ""x""""#;
    let own = format!(
        "CREATE FUNCTION {odd}(reply tpro.reply_row) RETURNS void LANGUAGE sql AS
         'INSERT INTO public.noted VALUES (reply.id, jsonb_build_object(''own'', reply.status))'"
    );
    world.admin.batch_execute(&own).await?;
    for (service, status) in [("late", "ok"), ("nobody", "unavailable")] {
        let id = publish_with(&world, service, odd).await?;
        assert_eq!(world.await_reply(id).await?.status, status);
        assert_eq!(notes(&world, id).await?, [json!({"own": status})]);
    }
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_function_that_is_gone_or_is_none_costs_its_part_only_and_runs_nothing_else() -> Outcome {
    let world = world().await?;
    let main = world.run("main").await?;
    let gone = publish_with(&world, "nobody", "public.failed").await?;
    world.admin.batch_execute("DROP FUNCTION public.failed").await?;
    // Without its trigger a table takes anything.
    let hostile = "SET session_replication_role = replica;
        INSERT INTO main_service.mq_publish (service_name, entity, method_name, timeout, on_reply)
        VALUES ('nobody', 'thing', 'ask', 1, 'note(NULL); DROP TABLE public.noted; --'), ('nobody', 'thing', 'ask', 1, 'pg_sleep');
        SET session_replication_role = origin";
    world.admin.batch_execute(hostile).await?;
    // Nothing has rung.
    let last = publish_with(&world, "nobody", "public.note").await?;
    for id in [gone, gone + 1, gone + 2] {
        assert_eq!(world.await_reply(id).await?.status, "unavailable");
        let fault = "SELECT count(*) FROM main_service.mq_reply_fault WHERE mq_id = ";
        assert_eq!(world.count(&format!("{fault}{id}")).await?, 1, "{id}");
        assert!(notes(&world, id).await?.is_empty(), "{id}");
    }
    world.await_reply(last).await?;
    assert_eq!(notes(&world, last).await?.len(), 1);
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn functions_are_named_and_taken_back_under_load_and_none_is_passed_over() -> Outcome {
    let world = world().await?;
    let (main, _late) = (world.run("main").await?, echo(&world).await?);
    // The times in which the function was named. Each begins a second after the naming, because a
    // statement that began before it may write replies past the function.
    world.admin.batch_execute("CREATE TABLE public.named (since timestamptz, until timestamptz)").await?;
    let changes = world.database.connect().await?;
    changes.batch_execute("SET tpro.sender = 'main'").await?;
    let over = AtomicBool::new(false);
    let load = async {
        while !over.load(Ordering::Relaxed) {
            for method in ["ask", "other"] {
                request(method, json!({})).publish_many(&world.main, 40).await?;
            }
            let unsettled = "SELECT count(*) FROM main_service.mq_publish p
                WHERE NOT EXISTS (SELECT FROM main_service.mq_reply r WHERE r.mq_id = p.id)";
            eventually("few are under way", async || Ok(world.count(unsettled).await? < 200)).await?;
        }
        Outcome::Ok(())
    };
    let naming = async {
        for _ in 0..4 {
            let on = "SELECT tpro.on_reply('late', 'thing', 'ask', 'note'::regproc)";
            changes.batch_execute(on).await?;
            let named =
                "INSERT INTO public.named VALUES (clock_timestamp() + interval '1 second', 'infinity')";
            changes.batch_execute(named).await?;
            eventually("some are handled", async || {
                let handled = "SELECT count(*) FROM main_service.mq_reply r
                    JOIN main_service.mq_publish p ON p.id = r.mq_id AND p.method_name = 'ask'
                    JOIN public.named n ON r.replied_at > n.since AND n.until = 'infinity'";
                Ok(changes.query_one(handled, &[]).await?.get::<_, i64>(0) > 50)
            })
            .await?;
            let off = "UPDATE public.named SET until = clock_timestamp() WHERE until = 'infinity'";
            changes.batch_execute(off).await?;
            // A reply that is written by then looks for its function a moment later.
            let last: i64 =
                changes.query_one("SELECT max(id)::bigint FROM main_service.mq_publish", &[]).await?.get(0);
            let unsettled = "SELECT count(*) FROM main_service.mq_publish p
                WHERE p.id <= $1 AND NOT EXISTS (SELECT FROM main_service.mq_reply r WHERE r.mq_id = p.id)";
            eventually("all that was under way is settled", async || {
                Ok(changes.query_one(unsettled, &[&last]).await?.get::<_, i64>(0) == 0)
            })
            .await?;
            changes.batch_execute("SELECT tpro.off_reply('late', 'thing', 'ask')").await?;
        }
        over.store(true, Ordering::Relaxed);
        Outcome::Ok(())
    };
    let (load, naming) = tokio::join!(load, naming);
    load?;
    naming?;
    world.recon().await?;
    let of_named =
        "FROM main_service.mq_reply r JOIN main_service.mq_publish p ON p.id = r.mq_id JOIN public.named n
            ON r.replied_at > n.since AND r.replied_at < n.until
         WHERE p.method_name = 'ask'";
    assert!(world.count(&format!("SELECT count(*) {of_named}")).await? > 100);
    let past =
        format!("SELECT count(*) {of_named} AND NOT EXISTS (SELECT FROM public.noted t WHERE t.id = p.id)");
    assert_eq!(world.count(&past).await?, 0, "replies went past their function");
    let twice = "SELECT count(*) FROM (SELECT FROM public.noted GROUP BY id HAVING count(*) > 1) t";
    assert_eq!(world.count(twice).await?, 0);
    let of_others = "SELECT count(*) FROM public.noted n JOIN main_service.mq_publish p ON p.id = n.id WHERE p.method_name <> 'ask'";
    assert_eq!(world.count(of_others).await?, 0);
    // The last change has taken it back.
    let handled = "SELECT count(*) FROM public.noted";
    let before = world.count(handled).await?;
    let id = world.publish(&request("ask", json!({}))).await?;
    world.await_reply(id).await?.ok()?;
    assert_eq!(world.count(handled).await?, before);
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_handler_of_the_program_goes_before_the_function() -> Outcome {
    let world = Rogue::world().await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let _old = Answerer::echo(&world.nats, "tpro.old.thing.*").await?;
    world
        .admin
        .batch_execute(
            "CREATE TABLE public.noted (id bigint); GRANT INSERT ON public.noted TO rogue_sidecar;
             CREATE FUNCTION public.note(reply tpro.reply_row) RETURNS void LANGUAGE sql AS
                 'INSERT INTO public.noted VALUES (reply.id)';
             SELECT tpro.on_reply('old', 'thing', m, 'note'::regproc, sender => 'rogue') FROM unnest('{noted,other}'::text[]) m",
        )
        .await?;
    for method in ["noted", "other"] {
        let request = Message::to(&format!("old.thing.{method}")).from("rogue").protocol("json").timeout(60);
        let id = request.publish(&world.admin).await?;
        let settled =
            format!("SELECT count(*) FROM rogue_service.mq_reply WHERE mq_id = {id} AND status = 'ok'");
        eventually(&format!("{method} is settled"), async || Ok(world.count(&settled).await? == 1)).await?;
    }
    assert_eq!(world.count("SELECT count(*) FROM public.effect WHERE what = 'ok'").await?, 1);
    assert_eq!(world.count("SELECT count(*) FROM public.noted").await?, 1);
    world.finish(&[&rogue]).await?;
    Ok(())
}
