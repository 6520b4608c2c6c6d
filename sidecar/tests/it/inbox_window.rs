//! The inbox remembers for a window and then forgets; what is older than the window is refused.

use serde_json::json;
use tpro_testkit::{Outcome, World};

use crate::maintenance::{maintain, parts};
use crate::repeats::{ask_again, uid_of};
use crate::rogue::Rogue;

/// Makes the inbox of `main` as it is after some days: a range for each day, and one for what was before.
const DAYS: &str = "DO $$
    DECLARE today date := (now() AT TIME ZONE 'UTC')::date; t text; low text; high text;
    BEGIN
      FOREACH t IN ARRAY ARRAY['mq_receive', 'mq_outcome'] LOOP
        EXECUTE format('DROP TABLE main_service.%s_p00000000_%s', t, to_char(today + 1, 'YYYYMMDD'));
        FOR n IN -9 .. 0 LOOP
          low := rpad(lpad(to_hex((extract(epoch FROM today + n) * 1000)::bigint), 12, '0'), 32, '0');
          high := rpad(lpad(to_hex((extract(epoch FROM today + n + 1) * 1000)::bigint), 12, '0'), 32, '0');
          EXECUTE format('CREATE TABLE main_service.%1$s_p%2$s_%3$s PARTITION OF main_service.%1$s
                          FOR VALUES FROM (%4$s) TO (%5$L)', t,
            CASE n WHEN -9 THEN '00000000' ELSE to_char(today + n, 'YYYYMMDD') END, to_char(today + n + 1, 'YYYYMMDD'),
            CASE n WHEN -9 THEN 'MINVALUE' ELSE quote_literal(low) END, high);
          EXECUTE format('ALTER TABLE main_service.%s_p%s_%s OWNER TO tpro_owner', t,
            CASE n WHEN -9 THEN '00000000' ELSE to_char(today + n, 'YYYYMMDD') END, to_char(today + n + 1, 'YYYYMMDD'));
        END LOOP;
      END LOOP;
    END $$";

#[tpro_testkit::test]
async fn a_requester_who_comes_back_after_the_window_is_refused_as_stale() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let uid = "(to_char(0, 'FM') || lpad(to_hex((extract(epoch FROM now() - interval '4 days') * 1000)::bigint), 12, '0')
               || '7000800000000000000a')::uuid";
    let id: i64 = world
        .admin
        .query_one(
            &format!(
                "INSERT INTO main_service.mq_publish (uid, service_name, entity, method_name)
                 VALUES ({uid}, 'rogue', 'transactional', 'effect') RETURNING id"
            ),
            &[],
        )
        .await?
        .get(0);
    let reply = world.await_reply(id).await?;
    assert_eq!((reply.status.as_str(), reply.code()), ("timeout", -32005), "{reply:?}");
    assert_eq!(Rogue::effects(&world).await?, 0);
    // A young one is taken.
    world.ask(&Rogue::request("transactional.effect", json!({}))).await?.ok()?;
    assert_eq!(Rogue::effects(&world).await?, 1);
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn what_comes_back_when_the_inbox_has_forgotten_it_is_refused_and_has_no_second_effect() -> Outcome {
    let world = Rogue::world().await?;
    world.admin.batch_execute(&DAYS.replace("main_", "rogue_")).await?;
    let uid = uid_of(&world, "-6 days").await?;
    // It was young enough when it was done.
    let long = world.start(Rogue::copy(&world, 1)?.env("INBOX_WINDOW", 8 * 86_400)).await?;
    assert_eq!(ask_again(&world, &uid).await?, None);
    assert_eq!(ask_again(&world, &uid).await?, None, "a repeat finds the outcome");
    assert_eq!(Rogue::effects(&world).await?, 1);
    long.stop().await?;

    let run = world.spawn(Rogue::copy(&world, 2)?.arg("maintain"))?;
    assert!(run.wait().await?.success(), "{}", run.log());
    for table in ["mq_receive", "mq_outcome"] {
        assert_eq!(world.count(&format!("SELECT count(*) FROM rogue_service.{table}")).await?, 0);
    }
    let rogue = world.start(Rogue::copy(&world, 3)?).await?;
    assert_eq!(ask_again(&world, &uid).await?.as_deref(), Some("stale"));
    assert_eq!(Rogue::effects(&world).await?, 1);
    // The oracle asks for the inbox row of each effect, and this one's is forgotten.
    world.admin.batch_execute("DELETE FROM public.effect").await?;
    world.finish(&[&rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_inbox_forgets_what_no_repeat_can_ask_for() -> Outcome {
    let world = World::new().await?;
    world.admin.batch_execute(DAYS).await?;
    world
        .admin
        .batch_execute(
            "DO $$
             BEGIN
               FOR n IN 0 .. 9 LOOP
                 INSERT INTO main_service.mq_receive (uid, run, copy_key, target, attempt, deadline)
                   SELECT u, 1, 1, 'tpro.main.a.b', 1, now() FROM (SELECT (lpad(to_hex((extract(epoch FROM now() - n * interval '1 day')
                     * 1000)::bigint), 12, '0') || '7000800000000000000a')::uuid) x(u);
                 INSERT INTO main_service.mq_outcome (uid, run, answer) SELECT uid, 1, '{\"result\": 1}' FROM main_service.mq_receive
                   ON CONFLICT DO NOTHING;
               END LOOP;
             END $$",
        )
        .await?;
    let said = maintain(&world).await?;
    assert!(said.contains("dropped mq_outcome, days below"), "{said}");
    // Three days of window, a budget, an hour: rounded up to whole days, and the rest of today.
    for table in ["mq_receive", "mq_outcome"] {
        assert_eq!(world.count(&format!("SELECT count(*) FROM main_service.{table}")).await?, 6);
    }
    let ahead = parts(&world, "mq_receive").await?;
    assert_eq!(ahead.len(), 6 + 7 + 1, "{ahead:?}");
    world.recon().await?;
    Ok(())
}
