//! The cost of a publish for its transaction while the dispatcher is awake: commits a second into
//! `mq_publish`, against commits a second into a clone of it without the trigger.
//!
//! The rows are journal rows (`direct`), which the dispatcher reads past and does not send: on a
//! small machine the sending would be measured and not the publishing. The dispatcher reads all the
//! time, since it is told never to sleep.

use tpro_testkit::{Context as _, Database, Outcome};

use crate::args::Extent;
use crate::pgbench::Pgbench;
use crate::stand::Stand;
use crate::table::{median, ratio, thousands};

/// The numbers of publishers at once.
const CLIENTS: [usize; 3] = [1, 8, 32];
/// The share of the clone's speed that a publish is to have.
const GOAL: f64 = 0.9;

/// The longest that `PARK_AFTER_MS` takes: a minute without a message, and here there is always
/// one.
const NEVER: u32 = 60_000;

/// The clone: the same columns, domains, defaults, constraints, indexes and partitions, and no
/// trigger.
const CLONE: &str = "
CREATE TABLE main_service.clone (LIKE main_service.mq_publish INCLUDING ALL) PARTITION BY RANGE (id);
DO $$
DECLARE
    part record;
BEGIN
    FOR part IN SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) AS bound
                  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                 WHERE i.inhparent = 'main_service.mq_publish'::regclass LOOP
        EXECUTE format('CREATE TABLE main_service.%I PARTITION OF main_service.clone %s', 'clone_' || part.relname, part.bound);
    END LOOP;
END
$$;
GRANT INSERT ON main_service.clone TO main;";

/// A message as the demo publishes it.
pub fn insert(table: &str) -> String {
    format!(
        r#"INSERT INTO main_service.{table} (protocol,space_name,service_name,entity,method_name,timeout,headers,body,direct)
VALUES ('jsonrpc','tpro','echo','bench','echo',15,'{{"request":{{"type":"single"}}, "content-language":"ru-RU"}}','{{"ip":"172.19.0.8", "login":"login342", "password":"phnd26w"}}',true);"#
    )
}

/// A database with the clone beside the outbox.
pub async fn database_with_clone(stand: &Stand) -> Outcome<Database> {
    let database = stand.database().await?;
    database.connect().await?.batch_execute(CLONE).await.context("making the clone")?;
    Ok(database)
}

/// Measures and prints.
pub async fn measure(stand: &Stand, extent: &Extent) -> Outcome {
    let database = database_with_clone(stand).await?;
    let awake = stand.sidecar(&database, "main")?.env("PARK_AFTER_MS", NEVER).start().await?;
    let outbox = Pgbench::new(stand, &database, "publish", &insert("mq_publish"))?;
    let clone = Pgbench::new(stand, &database, "clone", &insert("clone"))?;
    // Connections, plans and files are there before it counts.
    outbox.second(8).await?;
    clone.second(8).await?;

    println!(
        "\nA publish while the dispatcher is awake, commits/s, median of {} rounds of a second each",
        extent.publish_rounds
    );
    println!("  clients   without trigger   mq_publish   ratio");
    for clients in CLIENTS {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for round in 0..extent.publish_rounds {
            // In turns, and turned about: a drift of the machine meets both.
            if round % 2 == 0 {
                with.push(outbox.second(clients).await?);
                without.push(clone.second(clients).await?);
            } else {
                without.push(clone.second(clients).await?);
                with.push(outbox.second(clients).await?);
            }
        }
        let (ours, theirs) = (thousands(median(&with)), thousands(median(&without)));
        println!("  {clients:>7}   {theirs:>15}   {ours:>10}   {}", ratio(&with, &without, GOAL));
    }
    awake.stop().await
}
