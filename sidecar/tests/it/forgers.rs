//! Somebody on NATS who claims to lead what he does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::Client;
use futures_util::StreamExt;
use ring::hmac;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tpro_testkit::{
    Context, Message, Nats, Outcome, SidecarProcess, World, eventually, eventually::DEADLINE, heard, listen,
};

use crate::answerer::Answerer;

/// What counts against one that leads: a timeline far beyond, and a server that was started long before.
fn claim(timeline: u32) -> Value {
    json!({"timeline": timeline, "started": 1, "asker": 7})
}

/// Asks and answers for as long as it lives, without a key.
struct Forger {
    over: Arc<AtomicBool>,
    task: JoinHandle<Outcome>,
}

impl Forger {
    async fn start(nats: &Nats, sources: Vec<String>) -> Outcome<Forger> {
        let client = nats.client().await?;
        let mut heard = listen(&client, "_TPRO.lead.>").await?;
        let over = Arc::new(AtomicBool::new(false));
        let until = over.clone();
        let task = tokio::spawn(async move {
            let mut asks = tokio::time::interval(Duration::from_millis(20));
            let mut old = Vec::new();
            while !until.load(Ordering::SeqCst) {
                tokio::select! {
                    _ = asks.tick() => {
                        for source in &sources {
                            ask(&client, source, &old).await?;
                        }
                    }
                    Some(question) = heard.next() => answer(&client, &question, &mut old).await?,
                }
            }
            Ok(())
        });
        Ok(Forger { over, task })
    }

    async fn stop(self) -> Outcome {
        self.over.store(true, Ordering::SeqCst);
        self.task.await?
    }
}

/// Questions without a signature, with one that is none, of a timeline that there is not, and those that others have asked.
async fn ask(client: &Client, source: &str, old: &[async_nats::Message]) -> Outcome {
    let subject = format!("_TPRO.lead.{source}");
    let mut signed = claim(2);
    signed["nonce"] = json!("n");
    signed["signature"] = json!("00".repeat(32));
    for payload in [claim(2).to_string(), claim(u32::MAX).to_string(), signed.to_string(), "{".into()] {
        client.publish_with_reply(subject.clone(), client.new_inbox(), payload.into()).await?;
    }
    for question in old.iter().filter(|question| *question.subject == *subject).take(3) {
        client.publish_with_reply(subject.clone(), client.new_inbox(), question.payload.clone()).await?;
    }
    Ok(())
}

/// Answers a question in the same ways, and with the question itself.
async fn answer(
    client: &Client,
    question: &async_nats::Message,
    old: &mut Vec<async_nats::Message>,
) -> Outcome {
    let Some(back) = question.reply.clone() else { return Ok(()) };
    let Ok(mut said) = serde_json::from_slice::<Value>(&question.payload) else { return Ok(()) };
    if said["signature"].as_str().is_none_or(|signature| signature == "00".repeat(32)) {
        return Ok(());
    }
    client.publish(back.clone(), question.payload.clone()).await?;
    for timeline in [2, 900, u32::MAX] {
        client.publish(back.clone(), claim(timeline).to_string().into()).await?;
        said["timeline"] = json!(timeline);
        said["asker"] = json!(7);
        client.publish(back.clone(), said.to_string().into()).await?;
    }
    client.publish(back, "nonsense".into()).await?;
    old.push(question.clone());
    Ok(())
}

/// How many claims it has not believed.
async fn ignored(copy: &SidecarProcess, reason: &str) -> Outcome<f64> {
    copy.metric_of("tpro_claims_ignored_total", &format!("reason=\"{reason}\"")).await
}

/// The sources of these services in this world.
async fn sources(world: &World, services: &[&str]) -> Outcome<Vec<String>> {
    let instance: String = world.admin.query_one("SELECT tpro.instance()::text", &[]).await?.get(0);
    Ok(services.iter().map(|service| format!("{service}/{instance}")).collect())
}

#[tpro_testkit::test]
async fn claims_that_nobody_has_signed_stop_nobody_who_leads_or_begins() -> Outcome {
    let world = World::demo().await?;
    let forger = Forger::start(&world.nats, sources(&world, &["main", "analytic"]).await?).await?;
    // They begin while it forges.
    let main = world.run("main").await?;
    let analytic = world.run("analytic").await?;
    eventually("the forged claims have come to both", async || {
        for copy in [&main, &analytic] {
            for reason in ["unsigned", "forged", "malformed"] {
                if ignored(copy, reason).await? < 30.0 {
                    return Ok(false);
                }
            }
            let ready = copy.get("/readyz").await?;
            assert_eq!(ready.status, 200, "{}", ready.body);
        }
        Ok(true)
    })
    .await?;
    let second = world.start(world.sidecar("main")?.copy(2)).await?;
    main.stop().await?;
    eventually("the second leads", async || Ok(second.metric("tpro_leading").await? == 1.0)).await?;
    world.ask(&Message::to("analytic.example.request_with_parallel_queries")).await?.ok()?;
    forger.stop().await?;
    for copy in [&second, &analytic] {
        assert_eq!(copy.get("/readyz").await?.status, 200);
        assert_eq!(copy.metric("tpro_takeovers_total").await?, 1.0, "nobody gave way");
        for reason in ["unsigned", "forged"] {
            let said = copy.log().matches(&format!("is ignored: {reason}.")).count();
            assert_eq!(said, 1, "{reason} is said once: {}", copy.log());
        }
    }
    world.finish(&[&second, &analytic]).await?;
    Ok(())
}

/// What a copy of the service could say, as one that has its login.
struct Insider {
    key: hmac::Key,
    source: String,
}

impl Insider {
    async fn of(world: &World) -> Outcome<Insider> {
        let key: Vec<u8> =
            world.main.query_one("SELECT tpro.sign('main', 'tpro claim 1')", &[]).await?.get(0);
        let source = sources(world, &["main"]).await?.remove(0);
        Ok(Insider { key: hmac::Key::new(hmac::HMAC_SHA256, &key), source })
    }

    fn signed(&self, kind: &str, timeline: u32, inbox: &str, nonce: &str) -> String {
        let text = format!("{kind}\n{}\n{timeline}\n1\n7\n{inbox}\n{nonce}", self.source);
        let signature = hmac::sign(&self.key, text.as_bytes());
        let digits: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let mut claim = claim(timeline);
        claim["nonce"] = json!(nonce);
        claim["signature"] = json!(digits);
        claim.to_string()
    }
}

#[tpro_testkit::test]
async fn a_signed_claim_that_is_said_again_stops_nobody_and_a_fresh_one_does() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let request = Message::to("old.thing.ask").protocol("json");
    let main = world.run("main").await?;
    world.ask(&request).await?.ok()?;
    let insider = Insider::of(&world).await?;
    let stranger = world.nats.client().await?;
    let subject = format!("_TPRO.lead.{}", insider.source);
    let mut questions = stranger.subscribe(subject.clone()).await?;
    let back = stranger.new_inbox();
    let mut answers = listen(&stranger, back.clone()).await?;

    // A question that a promoted server has asked some time: it is answered, and its asker is asked in turn.
    let question = insider.signed("question", 2, &back, "some time ago");
    stranger.publish_with_reply(subject.clone(), back.clone(), question.clone().into()).await?;
    let told = tokio::time::timeout(DEADLINE, answers.next()).await?.context("an answer")?;
    let told: Value = serde_json::from_slice(&told.payload)?;
    assert_eq!((&told["timeline"], &told["nonce"]), (&json!(1), &json!("some time ago")));
    // Into another inbox it is not answered, and counts as forged.
    stranger.publish_with_reply(subject.clone(), stranger.new_inbox(), question.into()).await?;
    eventually("it is not believed", async || Ok(ignored(&main, "forged").await? >= 1.0)).await?;
    let asked = async |questions: &mut async_nats::Subscriber| -> Outcome<(String, String)> {
        loop {
            let question = tokio::time::timeout(DEADLINE, questions.next()).await?.context("a question")?;
            let said: Value = serde_json::from_slice(&question.payload)?;
            if said["asker"] != json!(7) {
                let nonce = said["nonce"].as_str().context("a nonce")?.to_owned();
                return Ok((question.reply.context("an inbox")?.to_string(), nonce));
            }
        }
    };
    let (inbox, nonce) = asked(&mut questions).await?;
    // Answers to a question of before, and of a timeline that no promotion explains.
    stranger.publish(inbox.clone(), insider.signed("answer", 2, "", "some time ago").into()).await?;
    stranger.publish(inbox.clone(), insider.signed("answer", 5_000, "", &nonce).into()).await?;
    for reason in ["stale", "unexplained"] {
        eventually(&format!("{reason} is not believed"), async || Ok(ignored(&main, reason).await? >= 1.0))
            .await?;
    }
    world.ask(&request).await?.ok()?;
    assert_eq!(main.metric("tpro_takeovers_total").await?, 1.0);
    assert_eq!(main.get("/readyz").await?.status, 200);

    // To one that answers the question of now it gives way, and leads again when nobody does.
    let (inbox, nonce) = asked(&mut questions).await?;
    stranger.publish(inbox, insider.signed("answer", 2, "", &nonce).into()).await?;
    eventually("it gave way", async || Ok(main.log().contains("another server with the same identity")))
        .await?;
    eventually("it leads again", async || Ok(main.metric("tpro_takeovers_total").await? == 2.0)).await?;
    main.ready().await?;
    world.ask(&request).await?.ok()?;
    assert_eq!(answerer.taken(), 3);
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_clone_of_a_release_that_does_not_sign_hears_that_it_is_led() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let main = world.run("main").await?;
    eventually("it leads", async || Ok(main.metric("tpro_leading").await? == 1.0)).await?;
    let source = sources(&world, &["main"]).await?.remove(0);
    let clone = world.nats.client().await?;
    let back = clone.new_inbox();
    let mut answers = clone.subscribe(back.clone()).await?;
    // Where a reply would be one to a message of somebody's, nothing is said.
    let elsewhere = "_INBOX.tpro.main.019108f7.017f22e2-79b0-7cc3-98c4-dc0c0c07398f.1";
    let mut replies = clone.subscribe(elsewhere).await?;
    for inbox in [elsewhere, &back] {
        let question = claim(1).to_string();
        clone.publish_with_reply(format!("_TPRO.lead.{source}"), inbox.to_owned(), question.into()).await?;
    }
    let told = tokio::time::timeout(DEADLINE, answers.next()).await?.context("an answer")?;
    let told: Value = serde_json::from_slice(&told.payload)?;
    assert_eq!(told["timeline"], 1);
    assert!(told["started"].as_i64() > Some(1) && told["asker"].is_u64(), "{told}");
    assert_eq!(told.get("signature"), None, "what is signed answers a nonce");
    heard(&clone).await?;
    let said = tokio::time::timeout(Duration::from_millis(50), replies.next()).await;
    assert!(said.is_err(), "{said:?}");
    world.finish(&[&main]).await?;
    Ok(())
}
