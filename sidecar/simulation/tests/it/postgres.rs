//! The simulated PostgreSQL against a real one, with the product's own statements.

mod answer;
mod compare;
mod real;
mod script;
mod sql;
mod text;

use tpro_testkit::{Outcome, Postgres, StopMode};

use self::compare::Pair;

/// Steps of a script.
const STEPS: usize = 250;

/// A cluster in which nothing but the script takes transaction ids.
async fn cluster() -> Outcome<std::sync::Arc<Postgres>> {
    let quiet = Postgres::own().set("autovacuum", "off").set("checkpoint_timeout", "1h");
    // So that a statement that waits for long is not looked at for a deadlock, which the scripts avoid.
    quiet.set("deadlock_timeout", "1h").start().await
}

async fn run(seeds: impl Iterator<Item = u64>) -> Outcome {
    let cluster = cluster().await?;
    for seed in seeds {
        let mut pair = Pair::new(&cluster, seed).await?;
        for _ in 0..STEPS {
            pair.step().await?;
        }
        pair.end().await?;
    }
    Ok(())
}

#[tpro_testkit::test]
async fn random_scripts_give_the_same_results_on_the_simulated_and_the_real_server() -> Outcome {
    run(0..6).await
}

#[tpro_testkit::test]
#[ignore = "slow: make faults"]
async fn many_random_scripts_give_the_same_results_on_the_simulated_and_the_real_server() -> Outcome {
    run(1_000..1_080).await
}

#[tpro_testkit::test]
async fn a_server_that_stops_or_falls_begins_again_alike() -> Outcome {
    let cluster = cluster().await?;
    let mut pair = Pair::new(&cluster, 77).await?;
    for mode in [StopMode::Immediate, StopMode::Fast, StopMode::Immediate] {
        for _ in 0..60 {
            pair.step().await?;
        }
        pair.restart(mode).await?;
    }
    for _ in 0..60 {
        pair.step().await?;
    }
    pair.end().await
}
