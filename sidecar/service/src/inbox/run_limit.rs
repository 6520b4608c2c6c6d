//! The number of runs that a message gets (`RUNS_MAX`), and what follows from the number of a run.

/// The limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunLimit(i32);

impl RunLimit {
    /// The limit of so many runs.
    pub const fn new(runs: u32) -> Self {
        Self(if runs > i32::MAX as u32 { i32::MAX } else { runs as i32 })
    }

    /// True if a run of this number may begin.
    pub fn allows(self, run: i32) -> bool {
        run <= self.0
    }

    /// True if a run of this number is suspect of ending the process: half of the runs may have
    /// ended with theirs. Another message may have ended those processes. So suspects run one at a
    /// time: each is then counted for its own runs, and the innocent end well.
    pub fn suspects(self, run: i32) -> bool {
        run > 1 && run.saturating_mul(2) > self.0
    }
}

/// True if a run of a transactional handler must be counted before it begins: the inbox row goes
/// with the transaction when the run ends the process. A first attempt is not counted, because that
/// would cost each message one more commit.
pub fn must_count(attempt: u32) -> bool {
    attempt > 1
}

/// True if the next run after `counted` ones may be counted. A suspect is counted only when it runs
/// `alone`, so that it is not counted for what another one did.
pub fn may_count(counted: i32, alone: bool, limit: RunLimit) -> bool {
    alone || !limit.suspects(counted + 1)
}

/// True if a run may begin that was counted as number `counted`; none if the count could not be
/// told. The first run, which was not counted, makes one more.
pub fn may_begin(counted: Option<i32>, limit: RunLimit) -> bool {
    counted.is_none_or(|counted| limit.allows(counted + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_half_of_the_runs_is_suspect_and_the_first_run_never() {
        let suspects = |limit| (1..=4).filter(|run| RunLimit::new(limit).suspects(*run)).collect::<Vec<_>>();
        assert_eq!(suspects(5), [3, 4]);
        assert_eq!(suspects(4), [3, 4]);
        assert_eq!(suspects(1), [2, 3, 4]);
        assert!(RunLimit::new(u32::MAX).allows(i32::MAX));
    }

    #[test]
    fn a_transactional_run_is_counted_from_the_second_attempt_on() {
        let limit = RunLimit::new(3);
        assert_eq!([0, 1, 2].map(must_count), [false, false, true]);
        assert_eq!([1, 2].map(|counted| may_count(counted, false, limit)), [false, false]);
        assert!(may_count(0, false, limit) && may_count(2, true, limit));
        assert_eq!([None, Some(2), Some(3)].map(|counted| may_begin(counted, limit)), [true, true, false]);
    }
}
