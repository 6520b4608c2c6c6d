//! A case: a seed, and the parts of its plan that are left out. It has a form of one line.

use std::{collections::BTreeSet, fmt, panic, str::FromStr};

use super::{Finished, LeftOut, run};

/// A case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Case {
    /// The seed.
    pub seed: u64,
    /// The parts of its plan that are left out.
    pub left_out: LeftOut,
}

/// A line that is no case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoCase;

impl Case {
    /// The whole plan of a seed.
    pub fn of(seed: u64) -> Self {
        Self { seed, left_out: LeftOut::default() }
    }

    /// Runs it.
    pub fn run(&self) -> Finished {
        let result = panic::catch_unwind(|| run(self.seed, &self.left_out, false));
        result.unwrap_or_else(|told| {
            let text = told.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| told.downcast_ref::<&str>().copied()).unwrap_or("it panics");
            Finished { broken: vec![format!("panic: {text}")], ..Finished::default() }
        })
    }

    /// Leaves out as much as can be left out while it stays broken: halves of what is there, then
    /// quarters, down to single parts. So many runs at most.
    pub fn shrink(self, most: usize) -> Self {
        let (transactions, faults) = self.run().planned;
        let mut tried = 0;
        let mut best = self;
        for kind in [Part::Fault, Part::Transaction, Part::Fault] {
            let count = if kind == Part::Fault { faults } else { transactions };
            let mut size = count.div_ceil(2);
            while size > 0 {
                let there: Vec<usize> =
                    (0..count).filter(|at| !kind.of(&best.left_out).contains(at)).collect();
                for chunk in there.chunks(size) {
                    let mut smaller = best.clone();
                    kind.of_mut(&mut smaller.left_out).extend(chunk);
                    tried += 1;
                    if tried > most {
                        return best;
                    }
                    if !smaller.run().broken.is_empty() {
                        best = smaller;
                    }
                }
                size /= 2;
            }
        }
        best
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Transaction,
    Fault,
}

impl Part {
    fn of(self, left_out: &LeftOut) -> &BTreeSet<usize> {
        match self {
            Self::Transaction => &left_out.transactions,
            Self::Fault => &left_out.faults,
        }
    }

    fn of_mut(self, left_out: &mut LeftOut) -> &mut BTreeSet<usize> {
        match self {
            Self::Transaction => &mut left_out.transactions,
            Self::Fault => &mut left_out.faults,
        }
    }
}

impl fmt::Display for Case {
    /// `7`, or `7 without faults 0-2,5 transactions 1,4-9`.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.seed)?;
        let LeftOut { transactions, faults } = &self.left_out;
        if !(transactions.is_empty() && faults.is_empty()) {
            write!(f, " without")?;
        }
        for (name, left_out) in [("faults", faults), ("transactions", transactions)] {
            if !left_out.is_empty() {
                write!(f, " {name} {}", ranges(left_out))?;
            }
        }
        Ok(())
    }
}

impl FromStr for Case {
    type Err = NoCase;

    fn from_str(text: &str) -> Result<Self, NoCase> {
        let mut words = text.split_whitespace();
        let seed = words.next().and_then(|word| word.parse().ok()).ok_or(NoCase)?;
        let mut case = Self::of(seed);
        match words.next() {
            None => return Ok(case),
            Some("without") => {}
            Some(_) => return Err(NoCase),
        }
        while let Some(name) = words.next() {
            let numbers = words.next().and_then(numbers).ok_or(NoCase)?;
            match name {
                "faults" => case.left_out.faults = numbers,
                "transactions" => case.left_out.transactions = numbers,
                _ => return Err(NoCase),
            }
        }
        Ok(case)
    }
}

/// Numbers as ranges: `0-2,5`.
fn ranges(numbers: &BTreeSet<usize>) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let text = |(first, last): &(usize, usize)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(",")
}

fn numbers(text: &str) -> Option<BTreeSet<usize>> {
    let mut numbers = BTreeSet::new();
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        numbers.extend(first.parse::<usize>().ok()?..=last.parse().ok()?);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_read_as_it_was_written() {
        for line in ["7", "7 without faults 0-2,5", "7 without faults 1 transactions 0,2-9,11"] {
            assert_eq!(line.parse::<Case>().map(|case| case.to_string()), Ok(line.to_owned()));
        }
        for line in ["", "x", "7 with faults 1", "7 without faults", "7 without messages 1"] {
            assert_eq!(line.parse::<Case>(), Err(NoCase), "{line}");
        }
    }
}
