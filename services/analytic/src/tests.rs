//! The handlers of `analytic`: with a real PostgreSQL and without NATS, and `co` is played by the
//! test.

use contracts::{Login, ParallelQueries, ParallelQueriesWithTransit};
use serde_json::{Value, json};
use tpro_sidecar::{Failure, Fault, Status, Test, test};
use tpro_testkit::{Database, Outcome, Postgres};

use crate::{service::service, settings::Settings};

const TRANSIT: &str = "example.request_with_parallel_queries_with_transit_on_external_service";
const CO: &str = "co.example.request_with_parallel_queries";

/// The service on a database with the data of the demo.
async fn analytic() -> Outcome<(Test<Settings>, Database)> {
    let database = Postgres::shared().await?.database().await?;
    database.create_service("analytic").await?;
    database.load_demo().await?;
    let url = database.role_url("analytic");
    Ok((test(service()).database(&url).setting("EXAMPLE_PAUSE_MS", "0"), database))
}

fn login(name: &str) -> Login {
    Login { ip: "172.19.0.8".into(), login: name.into(), password: "phnd26w".into() }
}

#[tpro_testkit::test]
async fn a_login_gets_a_session_or_is_told_the_field_that_is_wrong() -> Outcome {
    let (analytic, _database) = analytic().await?;
    let session = analytic.call_request(&login("login342")).await.expect("a session");
    assert_eq!((session.face_id, session.sid.len()), (1, 32));
    let refused = analytic.call_request(&login("nobody")).await.expect_err("nobody logs in");
    assert_eq!((refused.code(), refused.message()), (-32602, "the login is unknown"));
    Ok(())
}

#[tpro_testkit::test]
async fn the_sum_of_another_service_is_added() -> Outcome {
    let (analytic, _database) = analytic().await?;
    let co = |_: Value| Ok::<_, Fault>(ParallelQueries { example_request_with_parallel_queries: 1000 });
    let analytic = analytic.answer(CO, co);
    let sums: ParallelQueriesWithTransit = analytic.call(TRANSIT, &json!({})).await.expect("sums");
    let sum = sums.example_request_with_parallel_queries_with_transit_on_external_service;
    assert!((1000..=1000 + 23 + 59).contains(&sum), "{sum}");
    assert_eq!(analytic.called().len(), 1);
    Ok(())
}

#[tpro_testkit::test]
async fn the_caller_is_told_why_another_service_gives_no_sum() -> Outcome {
    let (analytic, _database) = analytic().await?;
    let analytic = analytic.unavailable(CO);
    let fault = analytic.call::<Value>(TRANSIT, &json!({})).await.expect_err("no sum");
    assert_eq!((fault.code(), fault.message()), (-32001, "nobody runs the service"));
    Ok(())
}

#[tpro_testkit::test]
async fn replies_of_co_are_handled_without_a_database() -> Outcome {
    let analytic = test(service());
    let sums = ParallelQueries { example_request_with_parallel_queries: 7 };
    analytic.reply(CO, &sums).await.expect("handled");
    let failure = Failure::new(Status::Timeout, -32002, "no answer");
    analytic.failure(CO, failure).await.expect("handled");
    assert!(analytic.published().is_empty());
    Ok(())
}
