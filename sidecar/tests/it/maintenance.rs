//! A service whose old messages are to go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tpro_testkit::{Failure, Message, Outcome, Postgres, Sidecar, SidecarProcess, World, eventually};

static RUNS: AtomicU32 = AtomicU32::new(100);

/// Ids in a partition.
pub const ROWS: i64 = 1_000;

/// A world on a cluster of its own that logs whoever waits for a lock for longer than this.
pub async fn watched_world(limit: &str) -> Outcome<World> {
    let cluster = Postgres::own().set("deadlock_timeout", limit).set("log_lock_waits", "on").start().await?;
    World::options().cluster(cluster).start().await
}

/// A failure, if anybody but the maintenance waited for a lock for longer than the world's limit.
pub fn nobody_waited(world: &World) -> Outcome {
    let log = world.database.cluster().log();
    // Waits for a table; publishers also wait for each other, to make a file longer.
    let waits = |line: &&str| line.contains("still waiting for") && line.contains(" on relation ");
    let waited = log.lines().filter(waits).find(|line| !line.contains("/maintain"));
    waited.map_or(Ok(()), |line| Err(Failure::new(format!("somebody waited: {line}"))))
}

/// A copy of `main` that keeps little and looks often.
pub fn forgetful(world: &World) -> Outcome<Sidecar> {
    let main = world.sidecar("main")?;
    Ok(main.env("PARTITION_ROWS", ROWS).env("RETENTION", 1).env("MAINTENANCE_INTERVAL", 1))
}

/// A run by hand.
pub fn by_hand(world: &World) -> Outcome<Sidecar> {
    // Each has a log of its own.
    Ok(forgetful(world)?.copy(RUNS.fetch_add(1, Ordering::Relaxed)).arg("maintain"))
}

/// A run by hand, to its end; what it says.
pub async fn maintain(world: &World) -> Outcome<String> {
    let run = world.spawn(by_hand(world)?)?;
    let exit = run.wait().await?;
    let said = run.log();
    if exit.success() {
        return Ok(said);
    }
    Err(Failure::new(format!("the maintenance ended with {exit}")).with_log(run.process().log_path()))
}

/// Waits until a run has stood still at a failpoint.
pub async fn stands_at(run: &Arc<SidecarProcess>, point: &str) -> Outcome {
    eventually(&format!("it stands at {point}"), async || {
        if let Some(exit) = run.process().exit()? {
            return Err(Failure::new(format!("it ended with {exit}")).with_log(run.process().log_path()));
        }
        Ok(run.log().contains(&format!("failpoint {point}: pause")))
    })
    .await
}

/// Messages that are settled when the server has them.
pub fn event() -> Message {
    Message::to("old.thing.noted").protocol("json").timeout(0)
}

/// Waits until outbox and replies have partitions of the width that is configured. A partition that gets rows before
/// keeps the width it was made with.
pub async fn fitted(world: &World, width: u32) -> Outcome {
    eventually("the partitions are as configured", async || {
        let first = async |table: &str| -> Outcome<bool> {
            Ok(parts(world, table).await?.contains(&format!("{table}_p000000000000_{width:012}")))
        };
        Ok(first("mq_publish").await? && first("mq_reply").await?)
    })
    .await
}

/// The parts of a table of `main`, in order.
pub async fn parts(world: &World, table: &str) -> Outcome<Vec<String>> {
    let parts = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = to_regclass('main_service.' || $1) AND NOT i.inhdetachpending ORDER BY 1";
    Ok(world.admin.query(parts, &[&table]).await?.iter().map(|row| row.get(0)).collect())
}

/// Tables of `main` that look like parts and belong to nothing, or only half.
pub async fn loose(world: &World) -> Outcome<i64> {
    world
        .count(
            "SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = 'main_service'::regnamespace AND relkind = 'r'
                        AND NOT relispartition AND relname ~ '^mq_.*_(p[0-9_]+|next)$')
                  + (SELECT count(*) FROM pg_inherits WHERE inhdetachpending)",
        )
        .await
}

/// Waits until messages and replies have gone alike: in between there are replies whose messages are gone. What was made ahead
/// of the ids may differ, since each table is looked at in a moment of its own.
pub async fn even(world: &World) -> Outcome {
    eventually("replies have gone with their messages", async || {
        let last = world.count("SELECT last_value FROM main_service.mq_publish_id_seq").await?;
        let ranges = async |table: &str| -> Outcome<Vec<String>> {
            let ranges = parts(world, table).await?.into_iter().map(|name| name[table.len()..].to_owned());
            Ok(ranges.filter(|range| first_id(range).is_some_and(|first| first <= last)).collect())
        };
        let (messages, replies) = (ranges("mq_publish").await?, ranges("mq_reply").await?);
        Ok(!messages.is_empty() && messages == replies && loose(world).await? == 0)
    })
    .await
}

/// The first id of a range `_p<first>_<next>`.
fn first_id(range: &str) -> Option<i64> {
    range.strip_prefix("_p")?.split('_').next()?.parse().ok()
}

/// Settles everything that is published, as a service would have.
pub async fn settle_all(world: &World) -> Outcome {
    world
        .admin
        .batch_execute(
            "INSERT INTO main_service.mq_reply (mq_id, uid, status, replied_at)
             SELECT id, uid, 'ok', clock_timestamp() - interval '1 hour' FROM main_service.mq_publish ON CONFLICT DO NOTHING",
        )
        .await?;
    Ok(())
}
