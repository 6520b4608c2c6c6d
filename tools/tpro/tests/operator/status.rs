//! `tpro status`.

use serde_json::json;
use tpro_testkit::{Outcome, Postgres, World, eventually};

use crate::tool::{member, on, run, tpro};

#[tpro_testkit::test]
async fn it_shows_copies_leaders_and_what_waits_to_a_reader() -> Outcome {
    let world = World::options().services(&["main", "co"]).start().await?;
    let main = world.run("main").await?;
    let reader = member(&world.database, "tpro_reader").await?;
    eventually("a copy leads", async || {
        Ok(world.count("SELECT count(*) FROM tpro.services WHERE leader_pid IS NOT NULL").await? == 1)
    })
    .await?;
    world.admin.batch_execute("SELECT tpro.publish('main', 'a', 'b', sender => 'co')").await?;
    // Anybody may name a session so; only a member of the service's role is a copy.
    let stranger = world.database.connect_as(&reader).await?;
    stranger.batch_execute("SET application_name = 'tpro/co/7/leader'").await?;

    let status = on(&world.database, &reader, &["status", "--json"])?.ended(0)?.json()?;
    assert_eq!(status["database"]["name"], json!(world.database.name()));
    assert_eq!(status["database"]["role"], json!(reader));
    assert_eq!(status["database"]["standby"], json!(false));
    assert_eq!(status["services"][0]["name"], "co");
    assert_eq!(status["services"][0]["leader"], json!(null));
    assert_eq!(status["services"][0]["copies"], json!([]));
    assert_eq!(status["services"][0]["unsettled"], json!(1));
    assert_eq!(status["services"][0]["waiting"][0]["target"], "tpro.main.a.b");
    assert_eq!(status["services"][0]["waiting"][0]["messages"], json!(1));
    assert!(status["services"][0]["oldest_age_seconds"].is_f64(), "{status}");
    assert_eq!(status["services"][1]["leader"]["copy"], json!(1));
    assert_eq!(status["services"][1]["copies"][0]["copy"], json!(1));
    assert_eq!(status["findings"][0]["kind"], "leader");
    assert_eq!(status["findings"].as_array().map(Vec::len), Some(1), "{status}");

    let shown = on(&world.database, &reader, &["status"])?.ended(0)?;
    assert_eq!(shown.err, "");
    for words in ["SERVICE", "copy 1", "nobody", "tpro.main.a.b", "no copy leads: 1 messages are not sent"] {
        assert!(shown.out.contains(words), "{words} in {}", shown.out);
    }
    assert!(!shown.out.contains(world.database.cluster().role_password()), "{}", shown.out);
    world.admin.batch_execute("SELECT tpro.cancel(1, 'co')").await?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_standby_is_asked_like_any_server_and_nobody_is_missed_there() -> Outcome {
    let original = Postgres::shared().await?;
    let database = original.database().await?;
    database.create_service("main").await?;
    let standby = Postgres::own().start_standby_of(&original).await?;
    standby.catch_up(&original).await?;
    let there = database.in_copy(standby);
    let status = on(&there, "postgres", &["status", "--json"])?.ended(0)?.json()?;
    assert_eq!((&status["database"]["standby"], &status["findings"]), (&json!(true), &json!([])));
    let shown = on(&there, "postgres", &["health"])?.ended(0)?;
    assert!(shown.out.contains(", a standby, pg_tpro"), "{}", shown.out);
    let refused = on(&there, "postgres", &["cancel", "1"])?.ended(3)?;
    assert!(refused.err.contains("is a standby, which nothing can be written to"), "{}", refused.err);
    Ok(())
}

#[tpro_testkit::test]
async fn who_lacks_a_right_is_told_which() -> Outcome {
    let database = Postgres::shared().await?.database().await?;
    database.create_service("main").await?;
    let refused = on(&database, "main", &["status"])?.ended(3)?;
    assert_eq!(refused.out, "");
    assert!(refused.err.contains("role main may not read the state of the services"), "{}", refused.err);
    assert!(refused.err.contains("GRANT tpro_reader TO main;"), "{}", refused.err);
    // Its name is quoted where SQL wants it.
    let admin = database.connect().await?;
    admin
        .batch_execute(&format!(
            "CREATE ROLE \"the user\"; GRANT \"the user\" TO main;
             ALTER ROLE main IN DATABASE {} SET role = 'the user'",
            database.name()
        ))
        .await?;
    let quoted = on(&database, "main", &["status"])?.ended(3)?;
    assert!(quoted.err.contains("GRANT tpro_reader TO \"the user\";"), "{}", quoted.err);
    Ok(())
}

#[tpro_testkit::test]
async fn a_database_that_cannot_be_asked_is_named_without_the_password() -> Outcome {
    let database = Postgres::shared().await?.database().await?;
    let password = database.cluster().role_password().to_owned();
    let gone = "postgresql://main:canary@127.0.0.1:1/app";
    let closed = run(tpro(&["status"]).env("DATABASE_URL", gone))?.ended(3)?;
    assert!(
        closed.err.contains("no connection to postgresql://main@127.0.0.1:1/app (DATABASE_URL)"),
        "{}",
        closed.err
    );
    assert!(closed.err.contains("Connection refused") && !closed.err.contains("canary"), "{}", closed.err);

    database.create_role("nobody_of_tpro").await?;
    let wrong = database.role_url("nobody_of_tpro").replace(&password, "canary");
    let wrong = run(&mut tpro(&["status", "--database-url", &wrong]))?.ended(3)?;
    assert!(
        wrong.err.contains("password authentication failed") && wrong.err.contains("correct user"),
        "{}",
        wrong.err
    );
    assert!(!wrong.err.contains("canary"), "{}", wrong.err);

    let other = database.cluster().superuser_url("postgres");
    let without = run(tpro(&["status"]).env("DATABASE_URL", other))?.ended(3)?;
    assert!(
        without.err.contains("database postgres at") && without.err.contains("CREATE EXTENSION"),
        "{}",
        without.err
    );

    let old = database.cluster().database_of("0.1.0").await?;
    let old = on(&old, "postgres", &["status"])?.ended(3)?;
    assert!(
        old.err.contains("release 0.1.0") && old.err.contains("ALTER EXTENSION pg_tpro UPDATE"),
        "{}",
        old.err
    );
    Ok(())
}
