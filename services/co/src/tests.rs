//! The handlers of `co`, with a real PostgreSQL and without NATS.

use contracts::ParallelQueries;
use serde_json::json;
use tpro_sidecar::test;
use tpro_testkit::{Outcome, Postgres};

use crate::service::service;

#[tpro_testkit::test]
async fn the_sum_is_that_of_the_clock_and_four_more() -> Outcome {
    let database = Postgres::shared().await?.database().await?;
    database.create_service("co").await?;
    let co = test(service()).database(&database.role_url("co")).setting("EXAMPLE_PAUSE_MS", "0");
    let sums: ParallelQueries =
        co.call("example.request_with_parallel_queries", &json!({})).await.expect("sums");
    let sum = sums.example_request_with_parallel_queries;
    assert!((4..=4 + 23 + 59).contains(&sum), "{sum}");
    Ok(())
}
