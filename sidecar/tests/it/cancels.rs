//! Messages that are taken back by `tpro.cancel`, wherever they are.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::json;
use tokio::task::JoinHandle;
use tpro_testkit::{Message, Outcome, SidecarProcess, Times, World, eventually, listen};

use crate::answerer::Answerer;
use crate::copies::leader;
use crate::rogue::Rogue;

/// How long after a cancel an attempt is surely one too many, on any machine. The promise is a tenth of a second.
const FAR_TOO_LATE: Duration = Duration::from_secs(5);

/// Takes everything on a subject and never answers.
pub struct Silent {
    taken: Arc<Mutex<Vec<(Instant, String)>>>,
    task: JoinHandle<()>,
}

impl Silent {
    /// Begins to take.
    pub async fn on(world: &World, subject: &str) -> Outcome<Silent> {
        let client = world.nats.client().await?;
        let mut messages = listen(&client, subject.to_owned()).await?;
        let taken = Arc::new(Mutex::new(Vec::new()));
        let noted = taken.clone();
        let task = tokio::spawn(async move {
            let _client = client;
            while let Some(message) = messages.next().await {
                let headers = message.headers.unwrap_or_default();
                let uid = headers.get("Nats-Msg-Id").map(ToString::to_string).unwrap_or_default();
                noted.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), uid));
            }
        });
        Ok(Silent { taken, task })
    }

    /// What it has taken so far: when, and the uid.
    pub fn taken(&self) -> Vec<(Instant, String)> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asserts that none of these was sent when it was far too late, and prints how late the last one was.
    async fn heard_nothing_after(&self, world: &World, cancelled: Instant) -> Outcome {
        let rows = world.admin.query(CANCELLED, &[]).await?;
        let uids: HashSet<String> = rows.iter().map(|row| row.get(0)).collect();
        let mut times = Times::of("from the commit of a cancel to the last attempt");
        let late = self.taken().into_iter().filter(|(at, uid)| *at > cancelled && uids.contains(uid));
        let late = late.map(|(at, _)| at.duration_since(cancelled)).max().unwrap_or_default();
        times.add(late);
        times.report();
        assert!(late < FAR_TOO_LATE, "an attempt began {late:?} after the cancel");
        Ok(())
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const CANCELLED: &str =
    "SELECT p.uid::text FROM main_service.mq_publish p JOIN main_service.mq_reply r ON r.mq_id = p.id
    WHERE r.status = 'cancelled'";

/// Cancels everything that is unsettled, in one transaction, and says how many messages that were and when it was committed.
async fn cancel_all(world: &World) -> Outcome<(i64, Instant)> {
    let cancel = "SELECT count(*) FILTER (WHERE tpro.cancel(p.id, 'main')) FROM main_service.mq_publish p
        WHERE NOT EXISTS (SELECT FROM main_service.mq_reply r WHERE r.mq_id = p.id)";
    let count = world.count(cancel).await?;
    Ok((count, Instant::now()))
}

/// Waits until the gauges say what the tables say: that nothing is left.
async fn nothing_in_hand(copy: &SidecarProcess) -> Outcome {
    for gauge in ["tpro_unsettled", "tpro_waiting", "tpro_in_flight"] {
        eventually(&format!("{gauge} is 0"), async || Ok(copy.metric(gauge).await? == 0.0)).await?;
    }
    Ok(())
}

#[tpro_testkit::test]
async fn what_waits_or_was_sent_is_sent_no_more_and_holds_up_nothing_behind_it() -> Outcome {
    const MESSAGES: i32 = 17_588;
    let world = World::options().services(&["main"]).start().await?;
    // A look at the tables finds what the leader has in hand; the slow poll and the bell have no part in it.
    let main = world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 200).env("POLL_INTERVAL_MS", 0);
    let main = world.start(main).await?;
    let silent = Silent::on(&world, "tpro.old.thing.silent").await?;
    let request = Message::to("old.thing.silent").protocol("json").timeout(600);
    request.publish_many(&world.main, MESSAGES).await?;
    eventually("most of them wait", async || {
        let waiting = main.metric("tpro_waiting").await?;
        Ok(main.metric("tpro_unsettled").await? == f64::from(MESSAGES) && waiting > f64::from(MESSAGES) / 2.0)
    })
    .await?;
    eventually("some are sent again and again", async || Ok(main.metric("tpro_resent_total").await? > 200.0))
        .await?;
    let (count, cancelled) = cancel_all(&world).await?;
    assert_eq!(count, i64::from(MESSAGES));

    // The one behind them has the lane for itself.
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let behind = Message::to("old.thing.ask").protocol("json").timeout(60);
    assert_eq!(world.ask(&behind).await?.attempts, 1);
    assert_eq!(answerer.taken(), 1);
    nothing_in_hand(&main).await?;
    assert_eq!(main.metric("tpro_cancelled_total").await?, f64::from(MESSAGES));
    // One more to the silent target: while it is sent twice, the others would be, too.
    let before = main.metric("tpro_sent_total").await?;
    let marker = world.publish(&request).await?;
    eventually("it is sent again", async || Ok(main.metric("tpro_sent_total").await? >= before + 3.0))
        .await?;
    let uid: String = world
        .admin
        .query_one("SELECT uid::text FROM main_service.mq_publish WHERE id = $1", &[&marker])
        .await?
        .get(0);
    let mine = silent.taken().into_iter().rev().take_while(|(_, taken)| *taken == uid).count();
    assert!(mine >= 2, "only that one is sent");
    silent.heard_nothing_after(&world, cancelled).await?;
    cancel_all(&world).await?;
    let recon = world.finish(&[&main]).await?;
    assert_eq!(recon.settled, i64::from(MESSAGES) + 2);
    Ok(())
}

#[tpro_testkit::test]
async fn what_was_refused_is_not_tried_again_when_somebody_is_there() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 60_000)).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?.env("HANDLERS_MAX", 1)).await?;
    let hold = Rogue::hold(&world).await?;
    let at_work = world.publish(&Rogue::request("default.effect", Rogue::held()).timeout(600)).await?;
    Rogue::waiting(&world, 1).await?;
    // Nobody runs the one; the other has its hands full.
    Message::to("gone.thing.ask").protocol("json").timeout(600).publish_many(&world.main, 50).await?;
    Rogue::request("default.effect", json!({})).timeout(600).publish_many(&world.main, 50).await?;
    eventually("all of both are refused", async || {
        let refused =
            async |reason: &str| main.metric_of("tpro_refused_total", &format!(r#"reason="{reason}""#)).await;
        Ok(refused("no_responders").await? >= 50.0 && refused("overloaded").await? >= 50.0)
    })
    .await?;
    let (count, _) = cancel_all(&world).await?;
    assert_eq!(count, 101);
    nothing_in_hand(&main).await?;

    // The handler that is at work cannot be taken back; what it answers comes too late.
    let answerer = Answerer::echo(&world.nats, "tpro.gone.thing.ask").await?;
    drop(hold);
    eventually("its answer is late", async || Ok(main.metric("tpro_late_replies_total").await? >= 1.0))
        .await?;
    world.ask(&Message::to("gone.thing.ask").protocol("json")).await?.ok()?;
    world.ask(&Rogue::request("default.effect", json!({}))).await?.ok()?;
    assert_eq!(answerer.taken(), 1, "nothing that was cancelled is sent");
    assert_eq!(Rogue::effects(&world).await?, 2, "the one at work and the one that was published last");
    assert_eq!(world.await_reply(at_work).await?.status, "cancelled");
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn what_is_answered_stays_answered() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.run("main").await?;
    let id = world.publish(&Message::to("old.thing.ask").protocol("json")).await?;
    world.await_reply(id).await?.ok()?;
    let cancelled: bool = world.admin.query_one("SELECT tpro.cancel($1, 'main')", &[&id]).await?.get(0);
    assert!(!cancelled);
    assert_eq!(world.await_reply(id).await?.status, "ok");
    assert_eq!(main.metric("tpro_cancelled_total").await?, 0.0);
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn what_was_cancelled_before_anybody_has_read_it_is_never_sent() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let request = Message::to("old.thing.ask").protocol("json");
    // Before the first leader, between a leader that has handed over and the next, and while one is there.
    request.publish_many(&world.main, 700).await?;
    assert_eq!(cancel_all(&world).await?.0, 700);
    let main = world.run("main").await?;
    world.ask(&request).await?.ok()?;
    main.stop().await?;
    request.publish_many(&world.main, 700).await?;
    assert_eq!(cancel_all(&world).await?.0, 700);
    let next = world.start(main.sidecar()).await?;
    world.ask(&request).await?.ok()?;
    eventually("it sleeps, so that only a bell has it read", async || {
        Ok(next.metric("tpro_asleep").await? == 1.0)
    })
    .await?;
    let both = "WITH p AS MATERIALIZED (
            INSERT INTO main_service.mq_publish (protocol, space_name, service_name, entity, method_name, timeout, headers, body)
            SELECT 'json', 'tpro', 'old', 'thing', 'ask', 15, '{}', '{}' FROM generate_series(1, 50) RETURNING id)
        SELECT count(*) FROM p";
    world
        .admin
        .batch_execute(&format!(
            "BEGIN; {both}; SELECT tpro.cancel(p.id, 'main') FROM main_service.mq_publish p
            WHERE NOT EXISTS (SELECT FROM main_service.mq_reply r WHERE r.mq_id = p.id); COMMIT"
        ))
        .await?;
    world.ask(&request).await?.ok()?;
    assert_eq!(answerer.taken(), 3, "those that nobody has cancelled");
    world.finish(&[&next]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn what_is_cancelled_during_a_takeover_no_later_leader_sends() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let silent = Silent::on(&world, "tpro.old.thing.silent").await?;
    let copy = |number| {
        Ok::<_, tpro_testkit::Failure>(world.sidecar("main")?.copy(number).env("ATTEMPT_TIMEOUT_MS", 200))
    };
    let first = world.start(copy(1)?).await?;
    assert_eq!(leader(&world).await?, 1);
    let second = world.start(copy(2)?).await?;
    let request = Message::to("old.thing.silent").protocol("json").timeout(600);
    request.publish_many(&world.main, 2_000).await?;
    eventually("some were sent", async || Ok(silent.taken().len() >= 128)).await?;
    let operator = world.database.connect().await?;
    operator
        .batch_execute(
            "BEGIN; SELECT tpro.cancel(p.id, 'main') FROM main_service.mq_publish p WHERE p.id % 2 = 0",
        )
        .await?;
    first.kill().await?;
    operator.batch_execute("COMMIT").await?;
    let cancelled = Instant::now();
    eventually("the next sends what is left", async || Ok(second.metric("tpro_sent_total").await? > 500.0))
        .await?;
    silent.heard_nothing_after(&world, cancelled).await?;
    eventually("it has in hand what is not cancelled", async || {
        Ok(second.metric("tpro_unsettled").await? == 1_000.0)
    })
    .await?;
    cancel_all(&world).await?;
    world.finish(&[&second]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_flood_of_notifications_by_anybody_costs_a_bounded_number_of_looks() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.run("main").await?;
    let request = Message::to("old.thing.ask").protocol("json");
    world.ask(&request).await?.ok()?;
    // A role without any right may notify whom it likes.
    world.database.create_role("stranger").await?;
    let stranger = world.database.connect_as("stranger").await?;
    let begun = Instant::now();
    for round in 0..300 {
        let each: String =
            (0..40).map(|n| format!("NOTIFY cancelled_in_main_service, '{round} {n}';")).collect();
        stranger.batch_execute(&each).await?;
    }
    for _ in 0..20 {
        world.ask(&request).await?.ok()?;
    }
    eventually("it has looked", async || {
        Ok(main.metric_of("tpro_reads_total", r#"reason="recall""#).await? >= 1.0)
    })
    .await?;
    let looks = main.metric_of("tpro_reads_total", r#"reason="recall""#).await?;
    // One at what is in flight in 25 ms, and a page of the rest behind it.
    let most = 2.0 * (begun.elapsed().as_secs_f64() / 0.025 + 2.0);
    assert!(looks <= most, "{looks} looks in {:?}", begun.elapsed());
    assert_eq!(answerer.taken(), 21);
    assert_eq!(main.metric("tpro_takeovers_total").await?, 1.0);
    world.finish(&[&main]).await?;
    Ok(())
}
