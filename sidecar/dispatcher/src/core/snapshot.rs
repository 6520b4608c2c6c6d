//! PostgreSQL's `pg_snapshot` and `xid8`: which transactions a statement saw.

/// The transactions that a statement saw: all before `xmin`, none from `xmax` on, none of `open`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Snapshot {
    xmin: u64,
    xmax: u64,
    open: Vec<u64>,
}

impl Snapshot {
    /// The snapshot with these bounds, in which these transactions are open.
    pub fn new(xmin: u64, xmax: u64, open: Vec<u64>) -> Self {
        Self { xmin, xmax, open }
    }

    /// All transactions before this one are over.
    pub fn xmin(&self) -> u64 {
        self.xmin
    }

    /// No transaction from this one on had started.
    pub fn xmax(&self) -> u64 {
        self.xmax
    }

    /// The transactions between the bounds that were open.
    pub fn open(&self) -> &[u64] {
        &self.open
    }
}

#[cfg(test)]
impl Snapshot {
    /// The snapshot in which nothing is open.
    pub fn at(xmax: u64) -> Self {
        Self { xmin: xmax, xmax, open: Vec::new() }
    }

    /// The snapshot with these bounds, in which the first is open.
    pub fn of(xmin: u64, xmax: u64) -> Self {
        Self { xmin, xmax, open: Vec::from_iter((xmin < xmax).then_some(xmin)) }
    }
}

/// A transaction's full id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xid(pub u64);
