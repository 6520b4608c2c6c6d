//! The lines of latency with their goals.

use super::arrival::Arrival;
use super::samples::Samples;
use crate::line::{Goal, Line, Unit};
use crate::mode::Mode;
use crate::table::{Interval, flat, interval};

/// The worst gap is to be at most so much above the worse of its neighbours.
const NEIGHBOURS: f64 = 1.1;

/// A line for each pattern, mode and quantile; then the worst gap of each mode.
pub fn lines(samples: &Samples) -> Vec<Line> {
    let mut lines = Vec::new();
    for (at, arrival) in samples.arrivals.iter().enumerate() {
        for (mode, way) in Mode::ALL.into_iter().zip(1..) {
            lines.push(line(samples, (at, *arrival), (mode, way), 0.5));
            if arrival.has_p99() {
                lines.push(line(samples, (at, *arrival), (mode, way), 0.99));
            }
        }
    }
    let worst = Mode::ALL.into_iter().zip(1..).filter_map(|(mode, way)| worst_gap(samples, mode, way));
    lines.extend(worst);
    lines
}

fn line(samples: &Samples, (at, arrival): (usize, Arrival), (mode, way): (Mode, usize), share: f64) -> Line {
    let (floor, ours) = (samples.quantile(at, 0, share), samples.quantile(at, way, share));
    let over_rounds = interval(&samples.ratios(at, way, share));
    Line {
        subject: format!("{}, {}, p{:.0}", mode.name(), arrival.name(), share * 100.0),
        unit: Unit::Ms,
        floor,
        ours,
        // A round has too few messages for its slowest ones.
        ratio: if share > 0.5 { Interval { median: ours / floor, ..over_rounds } } else { over_rounds },
        goal: goal(mode, share),
    }
}

/// Times of the floor's.
fn goal(mode: Mode, share: f64) -> Option<Goal> {
    match (mode, share > 0.5) {
        (Mode::Stateless, false) => Some(Goal::AtMost(1.3)),
        (Mode::Stateless, true) => Some(Goal::AtMost(2.0)),
        (Mode::Handle, false) => Some(Goal::AtMost(2.0)),
        (Mode::Transactional, false) => Some(Goal::AtMost(2.5)),
        (_, true) | (Mode::Sql, false) => None,
    }
}

/// The gap that is worst against the worse of the gaps before and after it.
fn worst_gap(samples: &Samples, mode: Mode, way: usize) -> Option<Line> {
    let gaps = samples.arrivals.iter().take_while(|arrival| matches!(arrival, Arrival::Gap(_))).count();
    let middle = |at: usize| samples.quantile(at, way, 0.5);
    let against = |at: usize| (at, middle(at - 1).max(middle(at + 1)), middle(at));
    let (at, beside, ours) = (1..gaps.saturating_sub(1))
        .map(against)
        .max_by(|(_, beside, own), (_, other, its)| (own / beside).total_cmp(&(its / other)))?;
    Some(Line {
        subject: format!("{}, {}, p50, beside its neighbours", mode.name(), samples.arrivals[at].name()),
        unit: Unit::Ms,
        floor: beside,
        ours,
        ratio: flat(ours / beside),
        goal: Some(Goal::AtMost(NEIGHBOURS)),
    })
}
