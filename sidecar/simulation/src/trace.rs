//! The trace of a run: a hash over every line, and the last lines for people.

use std::{collections::VecDeque, fmt};

use crate::time::Time;

/// Lines that are kept for people.
const KEPT: usize = 200;

/// The lines of a run.
#[derive(Clone, Debug)]
pub struct Trace {
    hash: u64,
    lines: u64,
    last: VecDeque<String>,
    kept: usize,
}

impl Default for Trace {
    fn default() -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, lines: 0, last: VecDeque::new(), kept: KEPT }
    }
}

impl Trace {
    /// A trace that keeps every line, for a run that is to be read.
    pub fn whole() -> Self {
        Self { kept: usize::MAX, ..Self::default() }
    }

    /// Adds a line.
    pub fn line(&mut self, now: Time, text: fmt::Arguments) {
        let line = format!("{:>12} {text}", now.micros());
        for byte in line.bytes().chain(*b"\n") {
            // FNV-1a.
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        self.lines += 1;
        if self.last.len() == self.kept {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// The hash of all lines so far.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The number of lines so far.
    pub fn len(&self) -> u64 {
        self.lines
    }

    /// True before the first line.
    pub fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// The last lines, the oldest first.
    pub fn last(&self) -> impl Iterator<Item = &str> {
        self.last.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_depends_on_each_line_its_time_and_the_order() {
        let of = |lines: &[(u64, &str)]| {
            let mut trace = Trace::default();
            lines.iter().for_each(|(at, text)| trace.line(Time::of_micros(*at), format_args!("{text}")));
            trace.hash()
        };
        assert_eq!(of(&[(1, "a"), (2, "b")]), of(&[(1, "a"), (2, "b")]));
        for other in [&[(1, "a"), (3, "b")][..], &[(2, "b"), (1, "a")], &[(1, "a")], &[(1, "a"), (2, "c")]] {
            assert_ne!(of(&[(1, "a"), (2, "b")]), of(other));
        }
    }

    #[test]
    fn the_last_lines_are_kept_for_people() {
        let mut trace = Trace::default();
        (0..KEPT as u64 + 3).for_each(|at| trace.line(Time::of_micros(at), format_args!("line")));
        assert_eq!((trace.len(), trace.last().count()), (KEPT as u64 + 3, KEPT));
        assert!(trace.last().next().is_some_and(|line| line.starts_with("           3 ")));
    }
}
