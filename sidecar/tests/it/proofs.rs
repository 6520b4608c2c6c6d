//! A uid names a message and gives no right to its answer: who asks under a known one must be the one who asked first.

use std::time::Duration;

use async_nats::{Client, HeaderMap, Message as Delivery, Subscriber};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tpro_testkit::{
    Context, Outcome, Postgres, Recon, Reply, World, eventually, eventually::DEADLINE, listen,
};

use crate::rogue::Rogue;

/// The ways of a handler that has an inbox.
const METHODS: [&str; 3] = ["default.effect", "default.tx", "transactional.effect"];

/// Hears every request to the service, as a bystander does.
async fn overhear(world: &World) -> Outcome<Subscriber> {
    let bystander = world.nats.client().await?;
    listen(&bystander, "tpro.rogue.>").await
}

async fn next(requests: &mut Subscriber) -> Outcome<Delivery> {
    tokio::time::timeout(DEADLINE, requests.next()).await?.context("a request")
}

/// A request that somebody makes of another one's.
#[derive(Clone)]
struct Forged {
    method: &'static str,
    headers: HeaderMap,
    uid: String,
    params: Value,
}

impl Forged {
    /// The request as it was sent.
    fn of(delivery: &Delivery, method: &'static str) -> Outcome<Forged> {
        let request: Value = serde_json::from_slice(&delivery.payload)?;
        Ok(Forged {
            method,
            headers: delivery.headers.clone().context("a request has headers")?,
            uid: request["id"].as_str().context("an id")?.to_owned(),
            params: request["params"].clone(),
        })
    }

    /// A request of somebody who is no service.
    fn strangers(uid: &str, method: &'static str, params: Value) -> Forged {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", uid);
        Forged { method, headers, uid: uid.to_owned(), params }
    }

    fn method(mut self, method: &'static str) -> Forged {
        self.method = method;
        self
    }

    fn params(mut self, params: Value) -> Forged {
        self.params = params;
        self
    }

    fn header(mut self, name: &str, value: &str) -> Forged {
        self.headers.insert(name, value);
        self
    }

    /// The same header once more.
    fn also(mut self, name: &str, value: &str) -> Forged {
        self.headers.append(name, value);
        self
    }

    fn without(self, name: &str) -> Forged {
        let mut headers = HeaderMap::new();
        for (header, values) in self.headers.iter().filter(|(header, _)| header.to_string() != name) {
            values.iter().for_each(|value| headers.append(header.clone(), value.clone()));
        }
        Forged { headers, ..self }
    }

    async fn send(&self, client: &Client, back: &str) -> Outcome {
        let method = self.method;
        let request = json!({"jsonrpc": "2.0", "id": self.uid, "method": method, "params": self.params});
        client
            .publish_with_reply_and_headers(
                format!("tpro.rogue.{method}"),
                back.to_owned(),
                self.headers.clone(),
                request.to_string().into(),
            )
            .await?;
        Ok(())
    }

    /// Asks and returns the answer; one that is none (`working`) has no payload.
    async fn ask(&self, client: &Client) -> Outcome<Value> {
        self.ask_at(client, client.new_inbox()).await
    }

    async fn ask_at(&self, client: &Client, back: String) -> Outcome<Value> {
        let mut answers = client.subscribe(back.clone()).await?;
        self.send(client, &back).await?;
        let answer = tokio::time::timeout(DEADLINE, answers.next()).await?.context("an answer")?;
        Ok(serde_json::from_slice(&answer.payload).unwrap_or(Value::Null))
    }
}

/// What somebody makes of a request that was overheard, or of a uid that was seen in a log.
fn forgeries(first: &Forged) -> Vec<(&'static str, Forged)> {
    let key = first.headers.get("Tpro-Key").map(ToString::to_string).unwrap_or_default();
    let another = if key.starts_with('0') { key.replacen('0', "1", 1) } else { format!("0{}", &key[1..]) };
    let source = "co/019108f7-52d1-4320-9bac-f847db4148a8";
    vec![
        ("another method", first.clone().method("default.echo")),
        ("another method of the transactional way", first.clone().method("transactional.raw")),
        ("another source", first.clone().header("Tpro-Source", source)),
        ("no source", first.clone().without("Tpro-Source")),
        ("another key", first.clone().header("Tpro-Key", &another)),
        ("no key", first.clone().without("Tpro-Key")),
        ("the key behind another", first.clone().header("Tpro-Key", &another).also("Tpro-Key", &key)),
        ("an empty key", first.clone().header("Tpro-Key", "")),
        ("a longer key", first.clone().header("Tpro-Key", &format!("{key}00"))),
        ("a shorter key", first.clone().header("Tpro-Key", &key[..30])),
        ("the digest for a key", first.clone().header("Tpro-Key", &format!("d:{key}"))),
        (
            "the uid in capitals",
            first.clone().without("Tpro-Key").header("Nats-Msg-Id", &first.uid.to_uppercase()),
        ),
        ("a source that is none", first.clone().header("Tpro-Source", "main")),
        (
            "a source that begins alike",
            first.clone().header("Tpro-Source", &source.replace("co/", "main_2/")),
        ),
        ("a later attempt", first.clone().without("Tpro-Key").header("Tpro-Attempt", "7")),
        (
            "a broken key",
            first.clone().header("Tpro-Key", &key.to_uppercase().replace(char::is_numeric, "A")),
        ),
        (
            "no key and another body",
            first.clone().without("Tpro-Key").params(json!({"login": "somebody else's"})),
        ),
        ("a stranger", Forged::strangers(&first.uid, first.method, first.params.clone())),
        ("a stranger with another body", Forged::strangers(&first.uid, first.method, json!({"x": 1}))),
    ]
}

#[tpro_testkit::test]
async fn a_known_uid_gets_the_stored_result_for_nobody_but_its_sender() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let stranger = world.nats.client().await?;
    let mut refused = 0.0;
    for method in METHODS {
        let mut requests = overhear(&world).await?;
        let result = world.ask(&Rogue::request(method, json!({}))).await?.ok()?;
        let first = Forged::of(&next(&mut requests).await?, method)?;
        for (what, forged) in forgeries(&first) {
            let answer = forged.ask(&stranger).await?;
            assert_eq!(answer["error"]["code"], -32600, "{method}, {what}: {answer}");
            assert_eq!((&answer["id"], &answer["result"]), (&json!(first.uid), &Value::Null), "{what}");
            refused += 1.0;
        }
        // The same in the form of a service that speaks no JSON-RPC.
        let json = first.clone().without("Tpro-Key").header("Tpro-Protocol", "json").ask(&stranger).await?;
        assert_eq!(json["error"]["code"], -32600, "{method}: {json}");
        refused += 1.0;
        let again = first.ask(&stranger).await?;
        assert_eq!(again["result"], result, "who has the key has sent it: {again}");
    }
    assert_eq!(rogue.metric_of("tpro_not_run_total", r#"reason="mismatch""#).await?, refused);
    assert_eq!(Rogue::effects(&world).await?, METHODS.len() as i64, "nothing ran");
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn nobody_joins_a_run_by_its_uid_alone() -> Outcome {
    for method in METHODS {
        joins_nothing(method).await.map_err(|failure| failure.during(method))?;
    }
    Ok(())
}

/// Forgeries come to the copy that is at work and to another one; then the run ends.
async fn joins_nothing(method: &'static str) -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let copies = [world.start(Rogue::copy(&world, 1)?).await?, world.start(Rogue::copy(&world, 2)?).await?];
    let mut requests = overhear(&world).await?;
    let hold = Rogue::hold(&world).await?;
    let id = world.publish(&Rogue::request(method, Rogue::held()).timeout(60)).await?;
    Rogue::waiting(&world, 1).await?;
    let first = Forged::of(&next(&mut requests).await?, method)?;
    let stranger = world.nats.client().await?;
    let inbox = stranger.new_inbox();
    let mut answers = stranger.subscribe(inbox.clone()).await?;
    let mut sent = 0;
    let mismatches = async || -> Outcome<Vec<f64>> {
        let mut counts = Vec::new();
        for copy in &copies {
            counts.push(copy.metric_of("tpro_not_run_total", r#"reason="mismatch""#).await?);
        }
        Ok(counts)
    };
    // NATS chooses the copy. One that has not seen the row of an open transaction says that somebody is at work.
    let both = method != "transactional.effect";
    eventually("the copies refuse them", async || {
        for (_, forged) in forgeries(&first) {
            forged.send(&stranger, &inbox).await?;
            sent += 1;
        }
        let counts = mismatches().await?;
        Ok(if both { counts.iter().all(|count| *count > 0.0) } else { counts.iter().sum::<f64>() > 0.0 })
    })
    .await?;
    Rogue::waiting(&world, 1).await?;
    drop(hold);
    let reply = world.await_reply(id).await?;
    assert_eq!(reply.ok()?["number"], 1);
    for n in 0..sent {
        let answer = tokio::time::timeout(DEADLINE, answers.next()).await;
        let answer = answer.ok().flatten().context(format!("{n} of {sent} were answered"))?;
        let text: Value = serde_json::from_slice(&answer.payload).unwrap_or(Value::Null);
        let state = answer.headers.and_then(|headers| headers.get("Tpro-State").map(ToString::to_string));
        match state.as_deref() {
            None => assert_eq!(
                (&text["error"]["code"], &text["result"]),
                (&json!(-32600), &Value::Null),
                "{text}"
            ),
            Some(state) => {
                assert!(["working", "overloaded"].contains(&state) && text.is_null(), "{state}: {text}")
            }
        }
    }
    let more = tokio::time::timeout(Duration::from_millis(100), answers.next()).await;
    assert!(more.is_err(), "each is answered once");
    assert_eq!(Rogue::effects(&world).await?, 1);
    world.finish(&[&main, &copies[0], &copies[1]]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn what_is_sent_again_by_a_database_that_was_restored_and_adopted_is_still_known() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let hold = Rogue::hold(&world).await?;
    let mut ids = Vec::new();
    for method in METHODS {
        ids.push(world.publish(&Rogue::request(method, Rogue::held()).timeout(60)).await?);
    }
    Rogue::waiting(&world, 3).await?;
    // Nobody settles what is answered.
    main.kill().await?;
    drop(hold);
    let outcomes = "SELECT count(*) FROM rogue_service.mq_outcome";
    eventually("the outcomes are stored", async || Ok(world.count(outcomes).await? == 3)).await?;
    rogue.stop().await?;

    let elsewhere = Postgres::own().start().await?;
    let roles = elsewhere.database().await?;
    for service in ["main", "rogue"] {
        roles.create_service(service).await?;
    }
    let copy = world.database.restore_in(elsewhere)?;
    let admin = copy.connect().await?;
    admin.batch_execute("SELECT tpro.adopt()").await?;
    let there = |sidecar: tpro_testkit::Sidecar, role| sidecar.env("DATABASE_URL", copy.role_url(role));
    let rogue = world.start(there(Rogue::copy(&world, 2)?, "rogue")).await?;
    let next = world.start(there(world.sidecar("main")?.copy(2), "main")).await?;
    let session = copy.connect_as("main").await?;
    for id in ids {
        assert_eq!(Reply::wait(&session, "main", id).await?.ok()?["number"], 1);
    }
    assert_eq!(rogue.metric_of("tpro_not_run_total", r#"reason="repeat""#).await?, 3.0);
    assert_eq!(rogue.metric_of("tpro_not_run_total", r#"reason="mismatch""#).await?, 0.0);
    let effects = "SELECT count(*) FROM public.effect";
    assert_eq!(admin.query_one(effects, &[]).await?.get::<_, i64>(0), 3);
    Recon::look(&admin, &["main", "rogue"].map(str::to_owned)).await?.clean()?;

    // The original goes on by itself, and knows them too.
    next.stop().await?;
    rogue.stop().await?;
    let main = world.start(main.sidecar()).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    assert_eq!(world.recon().await?.settled, 3);
    assert_eq!(Rogue::effects(&world).await?, 3);
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn what_is_sent_again_by_a_cluster_that_pg_upgrade_has_made_is_still_known() -> Outcome {
    let old = Postgres::own().start().await?;
    let mut world = World::options().services(&["main", "rogue"]).cluster(old.clone()).start().await?;
    world.admin.batch_execute(Rogue::EFFECTS).await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let hold = Rogue::hold(&world).await?;
    let mut ids = Vec::new();
    for method in METHODS {
        ids.push(world.publish(&Rogue::request(method, Rogue::held()).timeout(600)).await?);
    }
    Rogue::waiting(&world, 3).await?;
    main.kill().await?;
    drop(hold);
    let outcomes = "SELECT count(*) FROM rogue_service.mq_outcome";
    eventually("the outcomes are stored", async || Ok(world.count(outcomes).await? == 3)).await?;
    rogue.stop().await?;

    world.move_to(Postgres::own().start_upgrade_of(&old).await?).await?;
    let there =
        |sidecar: tpro_testkit::Sidecar, role| sidecar.env("DATABASE_URL", world.database.role_url(role));
    let main = world.spawn(there(world.sidecar("main")?.copy(2), "main"))?;
    eventually("it asks for the adoption", async || {
        let Ok(ready) = main.get("/readyz").await else { return Ok(false) };
        Ok(ready.status == 503 && ready.body.contains("tpro.adopt()"))
    })
    .await?;
    assert_eq!(main.metric("tpro_sent_total").await?, 0.0);
    world.admin.batch_execute("SELECT tpro.adopt()").await?;
    main.ready().await?;
    let rogue = world.start(there(Rogue::copy(&world, 2)?, "rogue")).await?;
    for id in ids {
        assert_eq!(world.await_reply(id).await?.ok()?["number"], 1);
    }
    assert_eq!(rogue.metric_of("tpro_not_run_total", r#"reason="repeat""#).await?, 3.0);
    assert_eq!(Rogue::effects(&world).await?, 3);
    // What is new goes its way there, too.
    world.ask(&Rogue::request("transactional.effect", json!({}))).await?.ok()?;
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn what_a_release_without_keys_took_or_sends_is_still_known() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let client = world.nats.client().await?;
    for method in METHODS {
        // Taken by a copy of 0.1.0, which keeps no proof: source and target count.
        let mut requests = overhear(&world).await?;
        let result = world.ask(&Rogue::request(method, json!({}))).await?.ok()?;
        let first = Forged::of(&next(&mut requests).await?, method)?;
        let forget = format!("UPDATE rogue_service.mq_receive SET proof = NULL WHERE uid = '{}'", first.uid);
        world.admin.batch_execute(&forget).await?;
        for known in [first.clone(), first.clone().without("Tpro-Key")] {
            assert_eq!(known.ask(&client).await?["result"], result);
        }
        let other = first.clone().method("default.echo").ask(&client).await?;
        assert_eq!(other["error"]["code"], -32600, "{other}");

        // Sent by a leader of this release, and again by one of 0.1.0 into the inbox of the service.
        let mut requests = overhear(&world).await?;
        let result = world.ask(&Rogue::request(method, json!({}))).await?.ok()?;
        let delivery = next(&mut requests).await?;
        let again = Forged::of(&delivery, method)?.without("Tpro-Key");
        let home = delivery.reply.context("a reply subject")?.to_string();
        assert_eq!(again.ask_at(&client, home).await?["result"], result);
        assert_eq!(again.ask(&client).await?["error"]["code"], -32600);

        // Sent by a leader of 0.1.0, and again by one of this release, which has a key.
        let uid: String = world.admin.query_one("SELECT tpro.uuid7()::text", &[]).await?.get(0);
        let source = "main/019108f7-52d1-4320-9bac-f847db4148a8";
        let first = Forged::strangers(&uid, method, json!({})).header("Tpro-Source", source);
        let result = first.ask(&client).await?["result"].clone();
        assert!(result.is_object(), "{result}");
        let again = first.header("Tpro-Key", "000102030405060708090a0b0c0d0e0f");
        assert_eq!(again.ask(&client).await?["result"], result);
        let other = again.params(json!({"x": 1})).ask(&client).await?;
        assert_eq!(other["error"]["code"], -32600, "{other}");
    }
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_whose_inbox_keeps_no_proof_is_told_to_upgrade() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    world.admin.batch_execute("ALTER TABLE main_service.mq_receive DROP COLUMN proof").await?;
    let main = world.spawn(world.sidecar("main")?)?;
    eventually("it names the remedy", async || {
        let Ok(ready) = main.get("/readyz").await else { return Ok(false) };
        Ok(ready.status == 503 && ready.body.contains("SELECT tpro.upgrade_service('main')"))
    })
    .await?;
    world.admin.batch_execute("CALL tpro.upgrade_services()").await?;
    main.ready().await?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_message_whose_accept_was_lost_is_accepted_again_before_its_outcome_is_stored() -> Outcome {
    for (method, effects) in [("default.effect", 2), ("default.tx", 1)] {
        lost_accept(method, effects).await.map_err(|failure| failure.during(method))?;
    }
    Ok(())
}

/// While a copy works on a message, its inbox row goes, and the session that wrote it: a standby that
/// lagged has taken over. An outcome without that row would be given to everybody who knows the uid.
async fn lost_accept(method: &str, effects: i64) -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 500)).await?;
    // Without spans: the run whose accept is lost has the number of the one after it, and the oracle
    // would take the two for one run that happened twice.
    let copy = world.start(Rogue::copy(&world, 1)?.env("OTEL_TRACES_SAMPLER", "always_off")).await?;
    let hold = Rogue::hold(&world).await?;
    let id = world.publish(&Rogue::request(method, Rogue::held())).await?;
    Rogue::waiting(&world, 1).await?;
    let lost = world.admin.execute("DELETE FROM rogue_service.mq_receive", &[]).await?;
    assert_eq!(lost, 1, "it was accepted");
    let terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'tpro/rogue/1/inbox'";
    assert_eq!(world.count(terminate).await?, 1, "the writer of the inbox has a session");
    drop(hold);
    let reply = world.await_reply(id).await?;
    reply.clone().ok()?;
    assert!(reply.attempts > 1, "{reply:?}");
    let proven = "SELECT count(*) FROM rogue_service.mq_outcome o JOIN rogue_service.mq_receive r USING (uid)
        WHERE r.proof IS NOT NULL";
    assert_eq!(world.count(proven).await?, 1);
    assert_eq!(Rogue::effects(&world).await?, effects);
    world.finish(&[&main, &copy]).await?;
    Ok(())
}
