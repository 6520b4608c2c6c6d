//! The data of the demo.

use tokio_postgres::Client;
use tpro_testkit::{Database, Outcome};

use crate::refusal::refused_with;
use crate::service::database;

async fn demo() -> Outcome<(Database, Client)> {
    let database = database().await?;
    database.load_demo().await?;
    // What the service does it does by this role.
    let analytic = database.connect_as("analytic").await?;
    Ok((database, analytic))
}

#[tpro_testkit::test]
async fn the_people_of_the_demo_can_log_in() -> Outcome {
    let (_database, analytic) = demo().await?;
    for login in ["login342", "login3422"] {
        let row = analytic
            .query_one("SELECT sid, face_id FROM app.login('172.19.0.8', $1, 'phnd26w')", &[&login])
            .await?;
        let (sid, face): (&str, i64) = (row.try_get(0)?, row.try_get(1)?);
        assert!(sid.len() == 32 && face > 0, "{sid} {face}");
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_wrong_field_is_named_and_its_value_is_not_repeated() -> Outcome {
    let (_database, analytic) = demo().await?;
    for (state, arguments) in [
        ("LG001", "'canary-ip', 'login342', 'phnd26w'"),
        ("LG001", "NULL, 'login342', 'phnd26w'"),
        ("LG002", "'172.19.0.8', 'canary-login', 'phnd26w'"),
        ("LG003", "'172.19.0.8', 'login342', 'canary-password'"),
        ("LG003", "'172.19.0.8', 'login342', NULL"),
    ] {
        let refusal = refused_with(&analytic, state, &format!("SELECT FROM app.login({arguments})")).await?;
        assert!(!refusal.everything.contains("canary"), "{refusal:?}");
    }
    refused_with(&analytic, "42501", "SELECT hash FROM app.person").await?;
    Ok(())
}

#[tpro_testkit::test]
async fn it_may_be_loaded_again_and_keeps_a_login_of_the_users_own() -> Outcome {
    let (database, analytic) = demo().await?;
    database.load_demo().await?;
    let admin = database.connect().await?;
    assert_eq!(admin.query_one("SELECT count(*) FROM app.person", &[]).await?.try_get::<_, i64>(0)?, 2);
    admin
        .batch_execute(
            "DROP SCHEMA app CASCADE; CREATE SCHEMA app;
             CREATE FUNCTION app.login(ip text, login text, password text) RETURNS TABLE (sid text, face_id bigint)
                 LANGUAGE sql AS $$ SELECT 'own', 7::bigint $$",
        )
        .await?;
    database.load_demo().await?;
    assert!(admin.query_one("SELECT to_regclass('app.person') IS NULL", &[]).await?.try_get::<_, bool>(0)?);
    let row = analytic.query_one("SELECT sid FROM app.login('a', 'b', 'c')", &[]).await?;
    assert_eq!(row.try_get::<_, &str>(0)?, "own");
    Ok(())
}
