//! A sequence: numbers that are never given back, and that jump when the server falls.
//!
//! PostgreSQL logs a sequence once in 33 numbers, for the 32 that follow. A server that begins again from its log goes on
//! behind all of them; one that has lost this part of the log gives them out again.

/// Numbers that are logged ahead.
pub const AHEAD: i64 = 32;

/// A sequence with CACHE 1, from 1 on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    last: i64,
    is_called: bool,
    /// Numbers that are still covered by the log.
    covered: i64,
}

impl Default for Sequence {
    fn default() -> Self {
        Self { last: 1, is_called: false, covered: 0 }
    }
}

impl Sequence {
    /// The next number, and what is to be logged with it, if anything.
    pub fn draw(&mut self) -> (i64, Option<i64>) {
        let first = !self.is_called;
        let logs = first || self.covered == 0;
        if !first {
            self.last += 1;
        }
        self.is_called = true;
        if logs {
            self.covered = AHEAD;
            return (self.last, Some(self.last + AHEAD));
        }
        self.covered -= 1;
        (self.last, None)
    }

    /// The sequence as the log tells it.
    pub fn recovered(logged: i64) -> Self {
        Self { last: logged, is_called: true, covered: 0 }
    }

    /// A checkpoint was made: the next number is logged.
    pub fn checkpoint(&mut self) {
        self.covered = 0;
    }

    /// `last_value`.
    pub fn last(&self) -> i64 {
        self.last
    }

    /// The last number that was given out.
    pub fn drawn(&self) -> i64 {
        self.last - 1 + i64::from(self.is_called)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_logs_once_in_33_numbers_and_jumps_when_it_is_recovered() {
        let mut sequence = Sequence::default();
        assert_eq!((sequence.drawn(), sequence.last()), (0, 1));
        let drawn: Vec<_> = (0..70).map(|_| sequence.draw()).collect();
        assert!(drawn.iter().map(|(number, _)| *number).eq(1..=70));
        let logged: Vec<_> = drawn.iter().filter_map(|(number, log)| Some((*number, (*log)?))).collect();
        assert_eq!(logged, [(1, 33), (34, 66), (67, 99)]);
        assert_eq!(Sequence::recovered(99).draw(), (100, Some(132)));
        sequence.checkpoint();
        assert_eq!(sequence.draw(), (71, Some(103)));
    }
}
