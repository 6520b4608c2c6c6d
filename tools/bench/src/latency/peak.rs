//! The most that the machine publishes and settles, and the latency at half of it.

use std::time::{Duration, Instant};

use tpro_testkit::eventually::eventually_within;
use tpro_testkit::{Database, Outcome};

use super::arrival::Arrival;
use super::samples::Samples;
use super::way::{Way, statement};
use crate::line::{Goal, Line, Unit};
use crate::mode::Mode;
use crate::pgbench::Pgbench;
use crate::stand::Stand;
use crate::table::{interval, quantile};

/// Publishers at once.
const PUBLISHERS: usize = 32;
/// The seconds for which they publish.
const SECONDS: u64 = 3;
/// The longest time until all of it is settled.
const LIMIT: Duration = Duration::from_secs(120);
/// At half of the peak the slowest take so many times the floor's median at rest.
const GOAL: f64 = 10.0;

/// Messages a second, from the first that is published to the last that is settled. The sidecars
/// run.
pub async fn find(stand: &Stand, database: &Database) -> Outcome<f64> {
    const COUNT: &str =
        "SELECT (SELECT count(*) FROM main_service.mq_publish), (SELECT count(*) FROM main_service.mq_reply)";
    let admin = database.connect().await?;
    let counts = async || {
        let row = admin.query_one(COUNT, &[]).await?;
        Outcome::Ok((row.get::<_, i64>(0), row.get::<_, i64>(1)))
    };
    let before = counts().await?.0;
    let publishers = Pgbench::new(stand, database, "peak", &statement(Mode::Stateless))?;
    let began = Instant::now();
    publishers.seconds(PUBLISHERS, SECONDS).await?;
    let published = eventually_within(LIMIT, "all of the peak is settled", async || {
        let (published, settled) = counts().await?;
        Ok((published == settled).then_some(published))
    })
    .await?;
    Ok((published - before) as f64 / began.elapsed().as_secs_f64())
}

/// Rounds of a second at half of the peak, beside the floor at rest.
pub fn half(way: &Way, peak: f64, samples: &Samples, rounds: usize) -> Outcome<Line> {
    let rate = (peak / 2.0).round();
    let (mut all, mut ratios) = (Vec::new(), Vec::new());
    let floor = samples.quantile(0, 0, 0.5);
    for round in 0..rounds {
        let took = way.round(Arrival::Poisson(rate), rate as usize, round as u64)?;
        ratios.push(quantile(&took, 0.99) / floor);
        all.extend(took);
    }
    Ok(Line {
        subject: format!("stateless, half of the peak ({rate}/s), p99, floor p50"),
        unit: Unit::Ms,
        floor,
        ours: quantile(&all, 0.99),
        ratio: interval(&ratios),
        goal: Some(Goal::AtMost(GOAL)),
    })
}
