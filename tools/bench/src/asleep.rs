//! The cost of a publish when the dispatcher sleeps and has to be woken: the time of a single
//! INSERT.

use std::time::{Duration, Instant};

use tokio_postgres::{Client, Statement};
use tpro_testkit::{Outcome, eventually};

use crate::args::Extent;
use crate::clone::{database_with_clone, insert};
use crate::stand::Stand;
use crate::table::median;

/// Measures and prints.
pub async fn measure(stand: &Stand, extent: &Extent) -> Outcome {
    let database = database_with_clone(stand).await?;
    let sleeper = stand.sidecar(&database, "main")?.start().await?;
    let (admin, main) = (database.connect().await?, database.connect_as("main").await?);
    let outbox = main.prepare(&insert("mq_publish", true)).await?;
    let clone = main.prepare(&insert("clone", true)).await?;

    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..extent.wakes {
        asleep(&admin).await?;
        without.push(time_ms(&main, &clone).await?);
        asleep(&admin).await?;
        with.push(time_ms(&main, &outbox).await?);
    }
    let (with, without) = (median(&with), median(&without));
    println!("\nA single publish that wakes a sleeping dispatcher, ms, median of {}", extent.wakes);
    println!(
        "  without trigger {without:.2}   mq_publish {with:.2}   (it rings once; until it sleeps again, no publish does)"
    );
    sleeper.stop().await
}

async fn asleep(admin: &Client) -> Outcome {
    const ASLEEP: &str = "SELECT coalesce(bool_or(asleep), false) FROM tpro.services WHERE name = 'main'";
    eventually("the dispatcher sleeps", async || Ok(admin.query_one(ASLEEP, &[]).await?.get(0))).await?;
    // The look itself is over, and both kinds are sent into the same quiet.
    tokio::time::sleep(Duration::from_millis(5)).await;
    Ok(())
}

async fn time_ms(client: &Client, insert: &Statement) -> Outcome<f64> {
    let began = Instant::now();
    client.execute(insert, &[]).await?;
    Ok(began.elapsed().as_secs_f64() * 1_000.0)
}
