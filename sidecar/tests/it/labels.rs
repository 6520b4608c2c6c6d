//! Messages that name a label in `reply_to`: their bare replies are published for plain subscribers of NATS.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tpro_testkit::{Message, Outcome, World, eventually, listen};

use crate::answerer::Answerer;
use crate::cancels::Silent;
use crate::copies::leader;
use crate::rogue::Rogue;

/// The subject of the label `orders`.
const ORDERS: &str = "$$.nats-pwl-reply.orders";

/// A reply as a plain subscriber gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    pub subject: String,
    pub status: String,
    pub uid: String,
    pub payload: String,
}

/// A client of NATS that knows nothing of tpro and listens to labels.
pub struct Listener {
    heard: Arc<Mutex<Vec<Heard>>>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Begins to listen.
    pub async fn on(world: &World, subject: &str) -> Outcome<Listener> {
        let client = world.nats.client().await?;
        let mut messages = listen(&client, subject.to_owned()).await?;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let noted = heard.clone();
        let task = tokio::spawn(async move {
            let _client = client;
            while let Some(message) = messages.next().await {
                let headers = message.headers.unwrap_or_default();
                let header = |name| headers.get(name).map(ToString::to_string).unwrap_or_default();
                let heard = Heard {
                    subject: message.subject.to_string(),
                    status: header("Tpro-Status"),
                    uid: header("Nats-Msg-Id"),
                    payload: String::from_utf8_lossy(&message.payload).into_owned(),
                };
                noted.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
            }
        });
        Ok(Listener { heard, task })
    }

    /// All it has heard so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it has heard so many, and gives all.
    pub async fn hears(&self, count: usize) -> Outcome<Vec<Heard>> {
        eventually(&format!("{count} replies are heard"), async || Ok(self.heard().len() >= count)).await?;
        Ok(self.heard())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The uid of a message of `main`.
async fn uid(world: &World, id: i64) -> Outcome<String> {
    let uid = "SELECT uid::text FROM main_service.mq_publish WHERE id = $1";
    Ok(world.admin.query_one(uid, &[&id]).await?.get(0))
}

async fn cancel(world: &World, id: i64) -> Outcome {
    let done: bool = world.admin.query_one("SELECT tpro.cancel($1, 'main')", &[&id]).await?.get(0);
    assert!(done, "message {id} was settled before");
    Ok(())
}

/// A message that waits for ever, with a label.
fn silent(label: &str) -> Message {
    Message::to("old.thing.silent").protocol("json").timeout(600).reply_to(label)
}

#[tpro_testkit::test]
async fn a_plain_subscriber_gets_the_bare_result_or_the_bare_error_of_each_end() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let listener = Listener::on(&world, "$$.nats-pwl-reply.>").await?;
    let nobody = Silent::on(&world, "tpro.old.thing.silent").await?;
    let echo = |body: Value| Rogue::request("default.echo", body);
    let mut ids = BTreeMap::new();
    let body = json!({"text": "a: b, \"c\\ d\"", "list": [1, {"n": 2}]});
    ids.insert("a.ok", world.publish(&echo(body.clone()).reply_to("a.ok")).await?);
    let failing = Rogue::request("default.effect", json!({"end": "fault"}));
    ids.insert("error", world.publish(&failing.reply_to("error")).await?);
    ids.insert("timeout", world.publish(&silent("timeout").timeout(1)).await?);
    let absent = Message::to("nobody.thing.ask").timeout(1).reply_to("unavailable");
    ids.insert("unavailable", world.publish(&absent).await?);
    let late = "INSERT INTO main_service.mq_publish (service_name, entity, method_name, expires_at, reply_to)
        VALUES ('rogue', 'default', 'echo', clock_timestamp() - interval '1 s', 'expired') RETURNING id";
    ids.insert("expired", world.main.query_one(late, &[]).await?.get(0));
    let cancelled = world.publish(&silent("cancelled")).await?;
    eventually("it was sent", async || Ok(nobody.taken().len() >= 2)).await?;
    cancel(&world, cancelled).await?;
    ids.insert("cancelled", cancelled);
    ids.insert("event", world.publish(&echo(json!({})).timeout(0).reply_to("event")).await?);
    // Without a label there is nothing.
    world.ask(&echo(json!({"of": "nobody"}))).await?.ok()?;

    // At least once is the promise.
    let subjects = |heard: &[Heard]| heard.iter().map(|heard| heard.subject.clone()).collect::<BTreeSet<_>>();
    eventually("all are heard", async || Ok(subjects(&listener.heard()).len() >= ids.len())).await?;
    let heard = listener.heard();
    assert_eq!(subjects(&heard).len(), ids.len(), "and no other: {heard:?}");
    let differs = |one: &Heard| heard.iter().any(|other| other.subject == one.subject && other != one);
    assert!(!heard.iter().any(differs), "a repeat is the same: {heard:?}");
    for (label, id) in &ids {
        let subject = format!("$$.nats-pwl-reply.{label}");
        let mine = heard.iter().find(|heard| heard.subject == subject);
        let mine = mine.unwrap_or_else(|| panic!("{label} was not published: {heard:?}"));
        let row = "SELECT status, coalesce(CASE status WHEN 'ok' THEN result ELSE error END, 'null')::text
            FROM main_service.mq_reply WHERE mq_id = $1";
        let row = world.admin.query_one(row, &[id]).await?;
        let (status, kept): (String, String) = (row.get(0), row.get(1));
        let wanted = match *label {
            "a.ok" | "event" => "ok",
            other => other,
        };
        assert_eq!((mine.status.as_str(), status.as_str()), (wanted, wanted), "{label}");
        let read = |text: &str| serde_json::from_str::<Value>(text);
        assert_eq!(
            read(&mine.payload)?,
            read(&kept)?,
            "{label}: it is what mq_reply has, and nothing around it"
        );
        assert_eq!(mine.uid, uid(&world, *id).await?, "{label}");
    }
    let payload = |label: &str| {
        let mine = heard.iter().find(|heard| heard.subject.ends_with(label));
        mine.map(|heard| heard.payload.clone()).unwrap_or_default()
    };
    assert_eq!(serde_json::from_str::<Value>(&payload(".a.ok"))?, body);
    assert!(!payload(".a.ok").contains("\": "), "without the spaces of jsonb: {}", payload(".a.ok"));
    assert_eq!(payload(".event"), "null");
    // They are counted when the server is known to have them, which is a little later.
    let all = ids.len() as f64;
    eventually("they are counted", async || Ok(main.metric("tpro_forwarded_total").await? >= all)).await?;
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_leader_that_is_killed_after_the_commit_leaves_the_reply_to_the_next() -> Outcome {
    let world = Rogue::world().await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let listener = Listener::on(&world, ORDERS).await?;
    let point = "dispatcher.settled";
    let first = world.start(world.sidecar("main")?.stand_still_at(point, 1)).await?;
    assert_eq!(leader(&world).await?, 1);
    let second = world.start(world.sidecar("main")?.copy(2)).await?;
    world.ask(&Rogue::request("default.echo", json!({}))).await?.ok()?;

    let id = world.publish(&Rogue::request("default.echo", json!({"n": 1})).reply_to("orders")).await?;
    first.stands_still_at(point).await?;
    assert_eq!(world.await_reply(id).await?.status, "ok", "it is committed");
    assert_eq!(listener.heard(), [], "and not published");
    first.kill().await?;

    let heard = listener.hears(1).await?;
    assert_eq!((heard[0].payload.as_str(), heard[0].status.as_str()), ("{\"n\":1}", "ok"));
    assert_eq!(heard[0].uid, uid(&world, id).await?);
    assert_eq!(leader(&world).await?, 2);
    world.finish(&[&second, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_reply_that_the_server_may_not_have_is_published_again_under_its_uid() -> Outcome {
    let world = Rogue::world().await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let listener = Listener::on(&world, ORDERS).await?;
    // It never learns that the server has what it has published.
    let deaf = world.sidecar("main")?.env("FAILPOINTS", "dispatcher.echo_lost=return(1)");
    let first = world.start(deaf).await?;
    let labelled = Rogue::request("transactional.effect", json!({})).reply_to("orders");
    let id = world.publish(&labelled).await?;
    listener.hears(1).await?;
    // By then the cursor of the first has passed the row, and names it.
    let named = format!("SELECT count(*) FROM main_service.mq_cursor WHERE {id} = ANY (pending)");
    eventually("the cursor names the row", async || Ok(world.count(&named).await? == 1)).await?;
    first.kill().await?;

    let second = world.start(world.sidecar("main")?.copy(2)).await?;
    let heard = listener.hears(2).await?;
    assert_eq!(heard[0], heard[1], "the same, under the uid by which a repeat is known");
    assert_eq!(heard[0].uid, uid(&world, id).await?);
    assert_eq!(Rogue::effects(&world).await?, 1, "the message did not run again");
    let unnamed = "SELECT count(*) FROM main_service.mq_cursor WHERE pending = '{}'";
    eventually("nothing is pending", async || Ok(world.count(unnamed).await? == 1)).await?;
    world.finish(&[&second, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_message_that_is_cancelled_while_nobody_leads_or_while_it_waits_is_published() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let listener = Listener::on(&world, "$$.nats-pwl-reply.>").await?;
    let _nobody = Silent::on(&world, "tpro.old.thing.silent").await?;
    let unread = world.publish(&silent("unread")).await?;
    cancel(&world, unread).await?;
    let main = world.sidecar("main")?.env("LANE_MAX", 1).env("POLL_INTERVAL_MS", 0);
    let main = world.start(main).await?;
    let heard = listener.hears(1).await?;
    assert_eq!(
        (heard[0].subject.as_str(), heard[0].status.as_str()),
        ("$$.nats-pwl-reply.unread", "cancelled")
    );
    let flying = world.publish(&silent("flying")).await?;
    let waiting = world.publish(&silent("waiting")).await?;
    eventually("one waits as its id", async || Ok(main.metric("tpro_waiting").await? == 1.0)).await?;
    cancel(&world, waiting).await?;
    let heard = listener.hears(2).await?;
    assert_eq!(heard[1].subject, "$$.nats-pwl-reply.waiting");
    cancel(&world, flying).await?;
    let heard = listener.hears(3).await?;
    assert_eq!(heard[2].subject, "$$.nats-pwl-reply.flying");
    eventually("nothing is in hand", async || Ok(main.metric("tpro_unsettled").await? == 0.0)).await?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_reply_handler_sees_the_label_and_a_copy_of_a_message_has_it_too() -> Outcome {
    let world = Rogue::world().await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let listener = Listener::on(&world, ORDERS).await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.labelled").await?;
    let labelled = Message::to("old.thing.labelled").from("rogue").protocol("json").reply_to("orders");
    let id = labelled.publish(&world.admin).await?;
    listener.hears(1).await?;
    let seen = "SELECT count(*) FROM public.effect WHERE what = 'orders'";
    assert_eq!(world.count(seen).await?, 1, "the handler's part is committed before anything is published");
    world.admin.execute("SELECT tpro.retry($1, 'rogue')", &[&id]).await?;
    let heard = listener.hears(2).await?;
    assert_ne!(heard[0].uid, heard[1].uid, "it is a message of its own");
    assert_eq!(world.count(seen).await?, 2);
    world.finish(&[&rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_setting_says_where_replies_are_published() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("REPLY_TO_PREFIX", "replies.main.")).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let listener = Listener::on(&world, "replies.>").await?;
    world.ask(&Rogue::request("default.echo", json!({"n": 1})).reply_to("orders.42")).await?.ok()?;
    let heard = listener.hears(1).await?;
    assert_eq!(
        (heard[0].subject.as_str(), heard[0].payload.as_str()),
        ("replies.main.orders.42", "{\"n\":1}")
    );
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}
