//! A service that is asked for more than it settles.

use tpro_testkit::{Message, Outcome, World, eventually};

use crate::answerer::Answerer;

#[tpro_testkit::test]
async fn publishers_are_refused_while_too_much_waits_and_taken_again_when_it_is_settled() -> Outcome {
    let world = World::new().await?;
    let main = world.run("main").await?;
    let name: String = world.admin.query_one("SELECT quote_ident(current_database())", &[]).await?.get(0);
    world
        .admin
        .batch_execute(&format!("LOAD 'pg_tpro'; ALTER DATABASE {name} SET tpro.max_backlog = 500"))
        .await?;
    let ask = Message::to("gone.thing.ask").protocol("json").timeout(600);
    ask.publish_many(&world.main, 450).await?;
    let publisher = world.database.connect_as("main").await?;
    let mut taken = 450;
    eventually("a publisher is refused", async || match ask.publish(&publisher).await {
        Ok(_) => {
            taken += 1;
            Ok(false)
        }
        Err(refused) => Ok(refused.to_string().contains("tpro.max_backlog is 500")),
    })
    .await?;
    // Another service's publishers do not feel it.
    let analytic = world.database.connect_as("analytic").await?;
    ask.clone().from("analytic").publish_many(&analytic, 10).await?;

    let answerer = Answerer::echo(&world.nats, "tpro.gone.thing.ask").await?;
    eventually("it is taken again", async || Ok(ask.publish(&publisher).await.is_ok())).await?;
    let analytic = world.run("analytic").await?;
    let recon = world.finish(&[&main, &analytic]).await?;
    assert_eq!(recon.settled, taken + 1 + 10);
    assert!(answerer.taken() >= usize::try_from(recon.settled)?);
    Ok(())
}
