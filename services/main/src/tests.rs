//! The handlers of `main`, with a real PostgreSQL and without NATS, and its reply handlers, without
//! both.

use contracts::{Login, Session, Winners};
use serde_json::json;
use tpro_sidecar::{Failure, Status, test};
use tpro_testkit::{Outcome, Postgres};

use crate::service::service;

#[tpro_testkit::test]
async fn the_number_of_winners_is_a_minute() -> Outcome {
    let database = Postgres::shared().await?.database().await?;
    database.create_service("main").await?;
    let main = test(service()).database(&database.role_url("main")).setting("EXAMPLE_PAUSE_MS", "0");
    let winners: Winners = main.call("company.winners", &json!({})).await.expect("winners");
    assert!((0..60).contains(&winners.winners), "{winners:?}");
    Ok(())
}

#[tpro_testkit::test]
async fn replies_to_a_login_are_handled() -> Outcome {
    let main = test(service());
    main.reply_to::<Login>(&Session { sid: "8f61".into(), face_id: 1 }).await.expect("handled");
    let failure = Failure::new(Status::Error, -32602, "the login is unknown");
    main.failure("analytic.example.simple", failure).await.expect("handled");
    Ok(())
}
