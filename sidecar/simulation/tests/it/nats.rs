//! The simulated NATS against a real nats-server, over its own protocol.

mod compare;
mod raw;

use tpro_testkit::Outcome;

use self::compare::Pair;

/// Steps of a script.
const STEPS: usize = 150;

async fn run(seeds: impl Iterator<Item = u64>) -> Outcome {
    for seed in seeds {
        let mut pair = Pair::new(seed).await?;
        for _ in 0..STEPS {
            pair.step().await?;
        }
    }
    Ok(())
}

#[tpro_testkit::test]
async fn random_scripts_give_the_same_deliveries_on_the_simulated_and_the_real_server() -> Outcome {
    run(0..6).await
}

#[tpro_testkit::test]
#[ignore = "slow: make faults"]
async fn many_random_scripts_give_the_same_deliveries_on_the_simulated_and_the_real_server() -> Outcome {
    run(1_000..1_150).await
}
