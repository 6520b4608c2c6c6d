//! `tpro` through a pooler, whose sessions are everybody's.

use tpro_testkit::pooler::Pooler;
use tpro_testkit::{Outcome, Postgres, postgres};

use crate::tool::{member, run, tpro};

#[tpro_testkit::test]
async fn a_session_of_a_pooler_is_given_back_as_it_was() -> Outcome {
    let database = Postgres::shared().await?.database().await?;
    database.create_service("main").await?;
    let operator = member(&database, "tpro_operator").await?;
    let publish = "SELECT tpro.publish('x', 'a', 'b', sender => 'main') FROM generate_series(1, 2)";
    database.connect().await?.batch_execute(publish).await?;
    let pooler = Pooler::start(database.cluster(), "transaction", &[&operator]).await?;
    let url = pooler.role_url(&database, &operator);
    for (arguments, code) in [
        (&["status"][..], 0),
        (&["messages", "--since", "1h"], 0),
        (&["messages", "--since", "2026-99-99"], 2),
        (&["show", "1"], 0),
        (&["show", "9"], 1),
        (&["health"], 1),
        (&["cancel", "1", "9", "2"], 1),
        (&["retry", "2"], 0),
        (&["top", "--interval", "1"], 0),
    ] {
        run(tpro(arguments).env("DATABASE_URL", &url))?.ended(code)?;
    }
    let next = postgres::connect(&url).await?;
    let left = "SELECT count(*) FROM pg_settings WHERE source = 'session' AND name NOT IN ('application_name', 'client_encoding',
                       'DateStyle', 'TimeZone', 'standard_conforming_strings', 'IntervalStyle')";
    let rows = next.simple_query(&format!("{left}; SELECT count(*) FROM pg_prepared_statements")).await?;
    let counts: Vec<String> = rows
        .iter()
        .filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
        .collect();
    assert_eq!(counts, ["0", "0"]);
    Ok(())
}
