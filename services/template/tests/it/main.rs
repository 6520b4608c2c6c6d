//! A running copy of `template`, asked by a row: with a PostgreSQL, a nats-server and the programs.
//! The test kit starts the servers, and what it starts ends with the test.

use serde_json::json;
use tpro_testkit::{Message, Outcome, World};

#[tpro_testkit::test]
async fn a_ping_from_sql_is_answered() -> Outcome {
    let world = World::options().services(&["main", "template"]).start().await?;
    let (main, template) = (world.run("main").await?, world.run("template").await?);
    // As `SELECT tpro.publish('template', 'example', 'ping', '{"text": "hello"}')` sends it.
    let ping = Message::to("template.example.ping").body(json!({"text": "hello"}));
    assert_eq!(world.ask(&ping).await?.ok()?, json!({"pong": "hello"}));
    // Each message is settled once, and nothing is left in hand.
    world.finish(&[&main, &template]).await?;
    Ok(())
}
