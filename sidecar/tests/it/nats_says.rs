//! What the NATS server says no to, and what it changes while copies run: readiness names it, and a copy recovers by itself.

use std::sync::Arc;

use serde_json::json;
use tpro_testkit::nats::NatsOptions;
use tpro_testkit::process::Signal;
use tpro_testkit::{Message, Nats, Outcome, Sidecar, SidecarProcess, World, eventually};

use crate::rogue::Rogue;

const PASSWORD: &str = "canary-password-71f0";

/// A user who may do everything but what is said.
fn user(name: &str, denied: &str) -> String {
    format!("{{ user: {name}, password: \"{PASSWORD}\", permissions: {{ {denied} }} }}")
}

fn users(of_main: &str, of_rogue: &str) -> NatsOptions {
    Nats::options().user(&user("main", of_main)).user(&user("rogue", of_rogue))
}

async fn world(nats: NatsOptions) -> Outcome<World> {
    let world = World::options().services(&["main", "rogue"]).nats(nats).start().await?;
    world.admin.batch_execute(Rogue::EFFECTS).await?;
    Ok(world)
}

/// With the user of its own name.
fn with_user(sidecar: Sidecar, name: &str) -> Sidecar {
    sidecar.without("NATS_TOKEN").env("NATS_USER", name).env("NATS_PASSWORD", PASSWORD)
}

/// Waits until `/readyz` says no and has all of these words in it.
async fn says(copy: &Arc<SidecarProcess>, words: &[&str]) -> Outcome {
    eventually(&format!("readiness names {words:?}"), async || {
        let Ok(ready) = copy.get("/readyz").await else { return Ok(false) };
        Ok(ready.status == 503 && words.iter().all(|word| ready.body.contains(word)))
    })
    .await
    .map_err(|failure| failure.with_log(copy.process().log_path()))
}

#[tpro_testkit::test]
async fn a_refused_subscription_is_named_and_made_again_when_it_is_allowed() -> Outcome {
    let allowed = users("publish: \">\"", "publish: \">\"");
    let refused = users("publish: \">\"", "subscribe: { deny: \"tpro.rogue.>\" }");
    let world = world(refused.clone()).await?;
    let main = world.start(with_user(world.sidecar("main")?, "main")).await?;
    let rogue = world.spawn(with_user(Rogue::copy(&world, 1)?, "rogue"))?;
    let words = ["nats-permissions", "tpro.rogue.>", "rogue-queue", "NATS_USER"];
    says(&rogue, &words).await?;
    world.nats.reload(&allowed).await?;
    rogue.ready().await?;
    world.ask(&Rogue::request("default.echo", json!({}))).await?.ok()?;
    // Taken away while it runs.
    world.nats.reload(&refused).await?;
    says(&rogue, &words[..2]).await?;
    world.nats.reload(&allowed).await?;
    rogue.ready().await?;
    world.ask(&Rogue::request("default.echo", json!({}))).await?.ok()?;
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_refused_publication_is_named_in_readiness_and_in_what_became_of_the_message() -> Outcome {
    let allowed = users("subscribe: \">\"", "subscribe: \">\"");
    let world = world(users("publish: { deny: \"tpro.rogue.default.>\" }", "subscribe: \">\"")).await?;
    let main = world.start(with_user(world.sidecar("main")?, "main")).await?;
    let rogue = world.start(with_user(Rogue::copy(&world, 1)?, "rogue")).await?;
    let request = Rogue::request("default.echo", json!({}));
    for refused in [request.clone().timeout(1), request.clone().timeout(0)] {
        let reply = world.ask(&refused).await?;
        assert_eq!(reply.status, "unavailable", "{reply:?}");
        let text = reply.error.to_string();
        assert!(text.contains("forbids") && text.contains("tpro.rogue.default.echo"), "{text}");
    }
    // Others are not concerned.
    world.ask(&Rogue::request("stateless.echo", json!({}))).await?.ok()?;
    let id = world.publish(&request.clone().timeout(600)).await?;
    says(&main, &["nats-permissions", "tpro.rogue.default.echo"]).await?;
    world.nats.reload(&allowed).await?;
    world.await_reply(id).await?.ok()?;
    main.ready().await?;
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn answers_that_are_refused_make_the_copy_not_ready_and_are_given_when_they_are_allowed() -> Outcome {
    let allowed = users("subscribe: \">\"", "publish: \">\"");
    let world = world(users("subscribe: \">\"", "publish: { deny: \"_INBOX.tpro.main.>\" }")).await?;
    let main = world.start(with_user(world.sidecar("main")?, "main").env("ATTEMPT_TIMEOUT_MS", 500)).await?;
    let rogue = world.start(with_user(Rogue::copy(&world, 1)?, "rogue")).await?;
    let id = world.publish(&Rogue::request("default.echo", json!({})).timeout(600)).await?;
    says(&rogue, &["nats-permissions", "_INBOX.tpro.main."]).await?;
    world.nats.reload(&allowed).await?;
    world.await_reply(id).await?.ok()?;
    rogue.ready().await?;
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_login_that_is_changed_is_named_and_the_copy_comes_back_when_it_is_taken_again() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let token = world.nats.token().to_owned();
    world.nats.reload(&Nats::options().token("another-token-0c1d")).await?;
    says(&main, &["nats", "NATS refuses the login", "NATS_TOKEN"]).await?;
    world.nats.reload(&Nats::options().token(&token)).await?;
    main.ready().await?;
    rogue.ready().await?;
    world.ask(&Rogue::request("default.echo", json!({}))).await?.ok()?;
    assert!(!main.log().contains(&token), "no secret is printed");
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn another_max_payload_is_noticed_up_and_down() -> Outcome {
    let small = Nats::options().line("max_payload: 65536");
    let large = Nats::options().line("max_payload: 4194304");
    let world = World::options().services(&["main", "rogue"]).nats(small.clone()).start().await?;
    let main = world.spawn(world.sidecar("main")?)?;
    let rogue = world.spawn(Rogue::copy(&world, 1)?)?;
    says(&main, &["nats-payload", "65536", "max_payload"]).await?;
    world.nats.reload(&large).await?;
    main.ready().await?;
    rogue.ready().await?;
    let body = json!({"x": "x".repeat(500_000)});
    assert_eq!(world.ask(&Rogue::request("default.echo", body.clone())).await?.ok()?, body);
    world.nats.reload(&small).await?;
    says(&main, &["nats-payload", "65536"]).await?;
    let reply = world.ask(&Rogue::request("default.echo", body.clone())).await?;
    assert_eq!(reply.status, "error", "{reply:?}");
    world.nats.reload(&large).await?;
    main.ready().await?;
    rogue.ready().await?;
    assert_eq!(world.ask(&Rogue::request("default.echo", body.clone())).await?.ok()?, body);
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_max_body_with_a_unit_is_understood() -> Outcome {
    let world = Rogue::world().await?;
    let name: String = world.admin.query_one("SELECT current_database()::text", &[]).await?.get(0);
    world.admin.batch_execute(&format!("ALTER DATABASE \"{name}\" SET tpro.max_body = '2MB'")).await?;
    let main = world.spawn(world.sidecar("main")?)?;
    says(&main, &["nats-payload", "tpro.max_body = 2097152"]).await?;
    world.nats.reload(&Nats::options().line("max_payload: 4194304")).await?;
    main.ready().await?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_copy_leaves_a_server_that_is_about_to_stop_for_another() -> Outcome {
    let world = World::new().await?;
    let other = Nats::options().token(world.nats.token()).start().await?;
    let urls = format!("{},{}", world.nats.url(), other.url());
    let main = world.start(world.sidecar("main")?.env("NATS_URL", urls)).await?;
    let connected = async |nats: &Nats| -> Outcome<bool> {
        let page = nats.monitor("/connz").await?;
        let connections = page["connections"].as_array().cloned().unwrap_or_default();
        Ok(connections.iter().any(|connection| connection["name"] == "tpro/main/1"))
    };
    let (leaves, stays) =
        if connected(&world.nats).await? { (&world.nats, &other) } else { (&other, &world.nats) };
    leaves.signal(Signal::USR2)?;
    // It stays for some ten seconds more, and ends connections one by one.
    eventually("the copy is at the other", async || connected(stays).await).await?;
    main.ready().await?;
    assert!(main.log().contains("about to stop"), "it is said why");
    // A message for nobody: the way out and the way in work.
    let reply = world.ask(&Message::to("old.thing.ask").timeout(1)).await?;
    assert_eq!(reply.status, "unavailable", "{reply:?}");
    world.finish(&[&main]).await?;
    Ok(())
}
