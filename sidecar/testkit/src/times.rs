//! The times of one step, taken again and again. Limits in time are reported and not asserted: a
//! test fails by its condition, never by a slow machine.

use std::time::Duration;

/// The times of one thing.
pub struct Times {
    what: String,
    taken: Vec<Duration>,
}

impl Times {
    /// None yet, of `what`.
    pub fn of(what: impl Into<String>) -> Times {
        Times { what: what.into(), taken: Vec::new() }
    }

    /// One more.
    pub fn add(&mut self, taken: Duration) {
        self.taken.push(taken);
    }

    /// Prints one line that `make faults` shows again at its end.
    pub fn report(&self) {
        println!("{}", self.line());
    }

    fn line(&self) -> String {
        let mut sorted = self.taken.clone();
        sorted.sort_unstable();
        // The nearest rank: with few times the high ones are simply the largest.
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).max(1);
            sorted.get(rank - 1).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
        };
        format!(
            "distribution: {}: n={} min={:.1} p50={:.1} p90={:.1} p99={:.1} max={:.1} ms",
            self.what,
            sorted.len(),
            at(0),
            at(50),
            at(90),
            at(99),
            at(100)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_ranks() {
        let mut times = Times::of("a takeover");
        (1..=100).rev().for_each(|ms| times.add(Duration::from_millis(ms)));
        let line = "distribution: a takeover: n=100 min=1.0 p50=50.0 p90=90.0 p99=99.0 max=100.0 ms";
        assert_eq!(times.line(), line);
        assert_eq!(
            Times::of("nothing").line(),
            "distribution: nothing: n=0 min=0.0 p50=0.0 p90=0.0 p99=0.0 max=0.0 ms"
        );
    }
}
