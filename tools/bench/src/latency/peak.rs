//! The most that the machine publishes and settles, and the latency at half of it.

use tpro_testkit::Outcome;

use super::arrival::Arrival;
use super::samples::Samples;
use super::way::Way;
use crate::line::{Goal, Line, Unit};
use crate::table::{interval, quantile};

/// Messages that are published as fast as the clients can.
const MESSAGES: usize = 10_000;
/// So many a second are all at once.
const AT_ONCE: f64 = 1e9;
/// At half of the peak the slowest take so many times the floor's median at rest.
const GOAL: f64 = 10.0;

/// Messages a second, from the first that is published to the last whose reply is seen. The clients
/// are those of the other rounds, so that half of it is no load that they cannot make.
pub fn find(way: &Way) -> Outcome<f64> {
    let took = way.round(Arrival::Poisson(AT_ONCE), MESSAGES, 0)?;
    Ok(MESSAGES as f64 / (quantile(&took, 1.0) / 1_000.0))
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
