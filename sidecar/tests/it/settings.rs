//! A login role whose settings are hostile: the sidecar sets what it relies on.

use serde_json::json;
use tpro_testkit::{Outcome, eventually};

use crate::rogue::Rogue;

/// What a role or a database may carry, and what would go wrong with it.
const HOSTILE: [(&str, &str); 17] = [
    ("statement_timeout", "50ms"),
    ("lock_timeout", "1ms"),
    ("idle_session_timeout", "300ms"),
    ("idle_in_transaction_session_timeout", "100ms"),
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_deferrable", "on"),
    ("search_path", "evil, pg_catalog"),
    ("DateStyle", "German"),
    ("IntervalStyle", "sql_standard"),
    ("TimeZone", "Asia/Kathmandu"),
    ("client_encoding", "LATIN1"),
    ("bytea_output", "escape"),
    ("extra_float_digits", "-15"),
    ("plan_cache_mode", "force_custom_plan"),
    ("enable_indexscan", "off"),
    ("array_nulls", "off"),
];

/// Functions and tables that stand in the way of those that are meant.
const EVIL: &str = "CREATE SCHEMA evil;
    CREATE FUNCTION evil.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS 'SELECT true';
    CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz';
    CREATE FUNCTION evil.pg_current_snapshot() RETURNS pg_snapshot LANGUAGE sql AS 'SELECT NULL::pg_snapshot';
    CREATE FUNCTION evil.unnest(anyarray) RETURNS SETOF anyelement LANGUAGE sql AS 'SELECT $1[1] WHERE false';
    GRANT USAGE ON SCHEMA evil TO PUBLIC";

#[tpro_testkit::test]
async fn hostile_settings_of_the_role_change_nothing() -> Outcome {
    let world = Rogue::world().await?;
    world.admin.batch_execute(EVIL).await?;
    let database = world.database.name();
    for role in ["main", "rogue"] {
        for (name, value) in HOSTILE {
            // Of this database only: the role belongs to the cluster, which others use.
            let value = if name == "search_path" { value.to_owned() } else { format!("'{value}'") };
            let set = format!("ALTER ROLE {role} IN DATABASE {database} SET {name} = {value}");
            world.admin.batch_execute(&set).await?;
        }
    }
    let session = world.database.connect_as("main").await?;
    let shown: String = session.query_one("SELECT current_setting('statement_timeout')", &[]).await?.get(0);
    assert_eq!(shown, "50ms", "the role has these settings");
    assert!(session.query_one("SELECT pg_sleep(1)", &[]).await.is_err());

    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 60_000)).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let before = Rogue::effects(&world).await?;
    let hold = Rogue::hold(&world).await?;
    for method in ["transactional.effect", "default.tx", "default.effect", "stateless.effect"] {
        Rogue::request(method, json!({})).publish_many(&world.main, 50).await?;
        Rogue::request(method, Rogue::held()).publish_many(&world.main, 1).await?;
    }
    Rogue::waiting(&world, 4).await?;
    // Longer than any of the limits, both idle and at work, as the server has it.
    eventually("sessions have outlasted the limits", async || {
        let lasting = "SELECT count(*) FILTER (WHERE state = 'active' AND wait_event = 'advisory') = 4
                AND count(*) FILTER (WHERE state = 'idle') > 0 FROM pg_stat_activity
            WHERE datname = current_database() AND application_name LIKE 'tpro/%'
              AND clock_timestamp() - state_change > interval '500 ms'";
        Ok(world.admin.query_one(lasting, &[]).await?.get(0))
    })
    .await?;
    Rogue::waiting(&world, 4).await?;
    drop(hold);
    world.recon().await?;
    let replies = world.replies("main").await?;
    assert!(replies.iter().all(|reply| reply.status == "ok" && reply.attempts == 1), "{replies:?}");
    assert_eq!(Rogue::effects(&world).await? - before, 204);

    // A text outside of that encoding comes back as it was.
    let word = json!({"word": "день — 日本"});
    assert_eq!(world.ask(&Rogue::request("default.echo", word.clone())).await?.ok()?, word);
    // After the rest its sessions are still there.
    assert_eq!(main.metric("tpro_takeovers_total").await?, 1.0);
    assert_eq!(rogue.metric("tpro_takeovers_total").await?, 1.0);
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}
