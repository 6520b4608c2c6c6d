//! The time that each message took, by round, pattern of arrivals and way.

use tpro_testkit::Outcome;

use super::arrival::Arrival;
use super::way::Way;
use crate::table::quantile;

/// The messages before those that count: connections, plans and caches are there.
const WARM: usize = 50;

/// The times, in milliseconds. The first way is the floor's.
pub struct Samples {
    /// The patterns.
    pub arrivals: Vec<Arrival>,
    /// By round, pattern and way.
    rounds: Vec<Vec<Vec<Vec<f64>>>>,
}

impl Samples {
    /// Takes all rounds.
    pub fn take(ways: &[Way], arrivals: Vec<Arrival>, rounds: usize, quick: bool) -> Outcome<Self> {
        for way in ways {
            way.round(Arrival::Poisson(500.0), WARM, 0)?;
            way.round(Arrival::AT_ONCE, WARM, 0)?;
        }
        let mut samples = Self { arrivals, rounds: Vec::new() };
        for round in 0..rounds {
            let mut of_round = Vec::new();
            for arrival in &samples.arrivals {
                let mut of_ways = vec![Vec::new(); ways.len()];
                for turn in 0..ways.len() {
                    // Turned about, so that a drift of the machine meets all.
                    let at = (turn + round) % ways.len();
                    of_ways[at] = ways[at].round(*arrival, arrival.messages(quick), round as u64)?;
                }
                of_round.push(of_ways);
            }
            samples.rounds.push(of_round);
            eprintln!("latency: round {} of {rounds}", round + 1);
        }
        Ok(samples)
    }

    /// The quantile of all rounds together.
    pub fn quantile(&self, arrival: usize, way: usize, share: f64) -> f64 {
        let all: Vec<f64> =
            self.rounds.iter().flat_map(|round| round[arrival][way].iter().copied()).collect();
        quantile(&all, share)
    }

    /// The quantile of a way beside that of the floor, in each round.
    pub fn ratios(&self, arrival: usize, way: usize, share: f64) -> Vec<f64> {
        let of = |round: &Vec<Vec<Vec<f64>>>, way: usize| quantile(&round[arrival][way], share);
        self.rounds.iter().map(|round| of(round, way) / of(round, 0)).collect()
    }
}
