//! The catalogue of methods, as real copies write it.

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tpro_testkit::{Context as _, Message, Nats, Outcome, World, eventually, listen};

use crate::rogue::Rogue;

/// A method in the catalogue: the number of its copies and its releases, if it is there.
async fn copies(world: &World, method: &str) -> Outcome<Option<(i64, Vec<String>)>> {
    let query = "SELECT copies, releases FROM tpro.methods
                  WHERE service_name || '.' || entity || '.' || method_name = $1 AND space_name = 'tpro' AND trusted";
    let row = world.admin.query_opt(query, &[&method]).await?;
    Ok(row.map(|row| (row.get(0), row.get(1))))
}

/// The error of a publish of `main` with `tpro.check_bodies = error`.
async fn refusal(world: &World, body: &str) -> Outcome<String> {
    let session = world.database.connect_as("main").await?;
    session.batch_execute("SET tpro.check_bodies = error").await?;
    let call = format!("SELECT tpro.publish('analytic', 'example', 'simple', '{body}', sender => 'main')");
    let error = session.batch_execute(&call).await.err().context("it was published")?;
    Ok(error.as_db_error().context("the connection broke")?.message().to_owned())
}

#[tpro_testkit::test]
async fn a_service_tells_its_methods_with_the_schemas_of_its_types() -> Outcome {
    let world = World::demo().await?;
    let analytic = world.run("analytic").await?;
    let main = world.run("main").await?;
    eventually("analytic is known", async || {
        Ok(copies(&world, "analytic.example.simple").await?.is_some_and(|(copies, _)| copies == 1))
    })
    .await?;
    let row = world
        .admin
        .query_one(
            "SELECT mode, description, body_schema->'required', result_schema->'properties' ? 'sid' FROM tpro.methods
              WHERE service_name = 'analytic' AND method_name = 'simple'",
            &[],
        )
        .await?;
    assert_eq!(row.get::<_, String>(0), "default");
    assert_eq!(row.get::<_, String>(1), "A login: the request of `analytic.example.simple`.");
    assert!(row.get::<_, bool>(3), "the result has a schema, too");

    // The tools of NATS are told the same.
    let client = world.nats.client().await?;
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await?;
    client.publish_with_reply("$SRV.INFO.analytic", inbox, "".into()).await?;
    let answer = answers.next().await.context("nobody answers")?;
    let info: Value = serde_json::from_slice(&answer.payload).context("the answer is JSON")?;
    let endpoints = info["endpoints"].as_array().context("it has endpoints")?;
    let simple =
        endpoints.iter().find(|endpoint| endpoint["name"] == "example_simple").context("it is there")?;
    let schema = simple["metadata"]["tpro.body_schema"].as_str().context("it has a schema")?;
    assert!(schema.contains(r#""required":["ip","login","password"]"#), "{schema}");

    // A body that no running release would take is refused at the publish.
    assert_eq!(
        refusal(&world, r#"{"login": "login342", "password": 777}"#).await?,
        "the body does not fit analytic.example.simple: ip is missing"
    );
    world.main.batch_execute("SET tpro.check_bodies = error").await?;
    let login = json!({"ip": "172.19.0.8", "login": "login342", "password": "phnd26w"});
    let reply = world.ask(&Message::to("analytic.example.simple").body(login)).await?;
    assert!(reply.ok()?["sid"].is_string());

    // A copy that stops takes its word back. Then nobody knows what would be taken.
    analytic.stop().await?;
    assert_eq!(copies(&world, "analytic.example.simple").await?, None);
    let analytic = world.run("analytic").await?;
    world.finish(&[&main, &analytic]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn two_releases_stand_side_by_side_and_one_that_was_killed_goes() -> Outcome {
    let world = Rogue::world().await?;
    let release = |number, release: &str| {
        Outcome::Ok(
            Rogue::copy(&world, number)?.version(release).env("FAILPOINTS", "catalogue.pause_ms=return(100)"),
        )
    };
    let first = world.start(release(1, "1.0")?).await?;
    let second = world.start(release(2, "2.0")?).await?;
    let both = Some((2, vec!["1.0".to_owned(), "2.0".to_owned()]));
    eventually("both are known", async || Ok(copies(&world, "rogue.default.echo").await? == both)).await?;
    // It is not there any more, and cannot say so. Two minutes are over at once.
    second.kill().await?;
    world.admin.batch_execute("UPDATE tpro.known_copy SET seen_at = now() - interval '121 seconds'").await?;
    let one = Some((1, vec!["1.0".to_owned()]));
    eventually("the other one is still there", async || {
        Ok(copies(&world, "rogue.default.echo").await? == one)
    })
    .await?;
    // Somebody deletes the rows. The copy notices at its next word, and writes its methods again.
    world.admin.batch_execute("DELETE FROM tpro.known_copy").await?;
    eventually("it tells its methods again", async || Ok(copies(&world, "rogue.default.echo").await? == one))
        .await?;
    first.stop().await?;
    assert_eq!(copies(&world, "rogue.default.echo").await?, None);
    world.finish(&[]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_of_another_database_is_heard_and_not_trusted() -> Outcome {
    let nats = Nats::options().service("main", "\"tpro.>\"")?;
    let world = World::options().services(&["main"]).nats(nats).start().await?;
    let client = world.nats.client().await?;
    let mut questions = listen(&client, "$SRV.INFO").await?;
    let main = world.run("main").await?;
    // A service that knows nothing of tpro, beside one that lies about main.
    let question = questions.next().await.context("nobody asks")?;
    let inbox = question.reply.context("it wants no answer")?;
    let schema = json!({"type": "object", "required": ["item"]}).to_string();
    for (id, subject) in
        [("SHOP", "tpro.shop.item.price"), ("LIAR", "tpro.main.example.lie"), ("ODD", "$SRV.PING")]
    {
        let answer = json!({"type": "io.nats.micro.v1.info_response", "name": "any", "id": id, "version": "1.2.3",
            "endpoints": [{"name": "x", "subject": subject, "metadata": {"tpro.body_schema": schema}}]});
        client.publish(inbox.clone(), answer.to_string().into()).await?;
    }
    client.publish(inbox, "{".into()).await?;
    eventually("both were heard", async || {
        let heard =
            "SELECT count(*) FROM tpro.methods WHERE NOT trusted AND releases = '{1.2.3}' AND copies = 1";
        Ok(world.count(heard).await? == 2)
    })
    .await?;
    let misfits = "SELECT count(*) FROM tpro.check('shop', 'item', 'price', '{}') WHERE path = 'item' AND problem = 'is missing'";
    assert_eq!(world.count(misfits).await?, 1);
    // It refuses nothing.
    world.main.batch_execute("SET tpro.check_bodies = error").await?;
    world.main.batch_execute("SELECT tpro.publish('shop', 'item', 'price', '{}', timeout => 0)").await?;
    assert!(main.process().log().contains("is up") && !main.process().log().contains("permission"));
    world.finish(&[&main]).await?;
    Ok(())
}
