//! The end of a run, and what was left out of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{coverage::Coverage, fault::Kind};

/// The parts of a run's plan that are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Transactions, by their places in the plan.
    pub transactions: BTreeSet<usize>,
    /// Faults, by their places in the plan.
    pub faults: BTreeSet<usize>,
}

/// The end of a run.
#[derive(Clone, Debug, Default)]
pub struct Finished {
    /// The rules that were broken, each in a line.
    pub broken: Vec<String>,
    /// The hash of its trace.
    pub hash: u64,
    /// Its last lines.
    pub lines: Vec<String>,
    /// Messages that were committed.
    pub messages: usize,
    /// Faults by kind.
    pub faults: BTreeMap<Kind, u64>,
    /// The states that cores came to.
    pub coverage: Coverage,
    /// The length of the plan: transactions and faults.
    pub planned: (usize, usize),
    /// The time that has passed in it.
    pub passed: Duration,
    /// Events.
    pub events: u64,
}
