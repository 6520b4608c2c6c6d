//! What many runs come to together.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use super::{Coverage, Finished, Kind};

/// The sums over runs.
#[derive(Clone, Debug, Default)]
pub struct Total {
    /// Runs.
    pub runs: u64,
    messages: u64,
    events: u64,
    passed: Duration,
    faults: BTreeMap<Kind, u64>,
    coverage: Coverage,
}

impl Total {
    /// Adds a run.
    pub fn add(&mut self, finished: &Finished) {
        self.runs += 1;
        self.messages += finished.messages as u64;
        self.events += finished.events;
        self.passed += finished.passed;
        for (kind, count) in &finished.faults {
            *self.faults.entry(*kind).or_default() += count;
        }
        self.coverage.add(&finished.coverage);
    }

    /// The report, in lines. `took` is the time that the runs took.
    pub fn report(&self, took: Duration, kinds: &[Kind]) -> String {
        let per = |count: u64| count / self.runs.max(1);
        let a_minute = self.runs as f64 * 60.0 / took.as_secs_f64().max(0.001);
        let mut text = format!(
            "{} runs in {:.1} s, {a_minute:.0} a minute; each of {:.0} simulated seconds, {} messages, {} events\n",
            self.runs,
            took.as_secs_f64(),
            self.passed.as_secs_f64() / self.runs.max(1) as f64,
            per(self.messages),
            per(self.events)
        );
        text.push_str("faults:");
        for kind in kinds {
            let _ = write!(text, " {kind:?} {}", self.faults.get(kind).copied().unwrap_or(0));
        }
        let (seen, all, missing) = self.coverage.seen();
        let _ = write!(text, "\nstates of the core: {seen} of {all}");
        if !missing.is_empty() {
            let _ = write!(text, "; not seen: {}", missing.join(", "));
        }
        text
    }
}
