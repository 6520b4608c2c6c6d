//! `tpro health`.

use serde_json::json;
use tpro_testkit::{Outcome, World, eventually};

use crate::tool::{member, on};

#[tpro_testkit::test]
async fn a_database_is_well_until_something_is_ill_and_each_finding_has_its_remedy() -> Outcome {
    let world = World::options().services(&["main", "co"]).start().await?;
    let main = world.run("main").await?;
    let database = &world.database;
    let reader = member(database, "tpro_reader").await?;
    eventually("main leads", async || {
        Ok(world.count("SELECT count(*) FROM tpro.services WHERE leader_pid IS NOT NULL").await? == 1)
    })
    .await?;
    let ask = |arguments: &[&str]| on(database, &reader, arguments);
    let well = ask(&["health", "main"])?.ended(0)?;
    assert!(well.out.ends_with("\nwell\n"), "{}", well.out);
    let ill = ask(&["health", "--json"])?.ended(1)?.json()?;
    assert_eq!((&ill["well"], ill["findings"].as_array().map(Vec::len)), (&json!(false), Some(1)));
    assert_eq!(
        (&ill["findings"][0]["kind"], &ill["findings"][0]["service"]),
        (&json!("leader"), &json!("co"))
    );
    let unknown = ask(&["health", "mian"])?.ended(2)?;
    assert!(unknown.err.contains("there are: co, main"), "{}", unknown.err);

    // Old, too many, tampered with, restored.
    world
        .admin
        .batch_execute(
            "INSERT INTO co_service.mq_publish (service_name, entity, method_name, created_at) VALUES ('x', 'a', 'b', now() - interval '1 hour');
             SELECT tpro.publish('x', 'a', 'b', sender => 'co');
             ALTER TABLE co_service.mq_publish DISABLE TRIGGER bell;
             UPDATE tpro.identity SET database_oid = 0",
        )
        .await?;
    world
        .admin
        .batch_execute(&format!("ALTER DATABASE {} SET tpro.max_backlog = 1", database.name()))
        .await?;
    let ill = ask(&["health", "co"])?.ended(1)?;
    for words in [
        "database: adopted: this database was restored or copied",
        "SELECT tpro.adopt();",
        "co: tables: co_service.mq_publish has the trigger bell switched off",
        "  ALTER TABLE co_service.mq_publish ENABLE TRIGGER bell",
        "co: leader: no copy leads: 2 messages are not sent",
        "co: backlog: publishers are refused: about 2 messages wait, and tpro.max_backlog is 1",
        "co: age: 2 messages for tpro.x.a.b wait, the oldest for 1h00m",
    ] {
        assert!(ill.out.contains(words), "{words} in {}", ill.out);
    }
    let patient = ask(&["health", "co", "--max-age", "2h", "--json"])?.ended(1)?.json()?;
    let mut kinds: Vec<_> =
        patient["findings"].as_array().into_iter().flatten().map(|finding| &finding["kind"]).collect();
    // Each partition has the trigger, too.
    kinds.dedup();
    assert_eq!(kinds, ["adopted", "tables", "leader", "backlog"]);
    drop(main);
    Ok(())
}
