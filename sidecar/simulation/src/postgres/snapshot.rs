//! PostgreSQL's `pg_snapshot`: which transactions a statement sees.

use std::fmt;

use super::xid::Xid;

/// Sees all transactions before `xmin`, none from `xmax` on, and none that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    xmin: Xid,
    xmax: Xid,
    open: Vec<Xid>,
}

impl Snapshot {
    /// The snapshot of these bounds; `open` in ascending order.
    pub fn new(xmin: Xid, xmax: Xid, open: Vec<Xid>) -> Self {
        Self { xmin, xmax, open }
    }

    /// The snapshot before which everything is over, and that has nothing open.
    pub fn at(xmax: Xid) -> Self {
        Self { xmin: xmax, xmax, open: Vec::new() }
    }

    /// Every transaction before this one is over.
    pub fn xmin(&self) -> Xid {
        self.xmin
    }

    /// No transaction from this one on was over.
    pub fn xmax(&self) -> Xid {
        self.xmax
    }

    /// The transactions between the bounds that were in progress.
    pub fn open(&self) -> &[Xid] {
        &self.open
    }

    /// `pg_visible_in_snapshot`: true if the transaction was over. It does not say how it ended.
    pub fn sees(&self, xid: Xid) -> bool {
        xid < self.xmin || (xid < self.xmax && self.open.binary_search(&xid).is_err())
    }
}

impl fmt::Display for Snapshot {
    /// As PostgreSQL writes it: `xmin:xmax:open,open`.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}:{}:", self.xmin.0, self.xmax.0)?;
        for (at, xid) in self.open.iter().enumerate() {
            write!(f, "{}{}", if at > 0 { "," } else { "" }, xid.0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_and_what_comes_after_is_not_seen() {
        let snapshot = Snapshot::new(Xid(10), Xid(20), vec![Xid(10), Xid(14)]);
        let seen: Vec<u64> = (8..22).filter(|xid| snapshot.sees(Xid(*xid))).collect();
        assert_eq!(seen, [8, 9, 11, 12, 13, 15, 16, 17, 18, 19]);
        assert_eq!(snapshot.to_string(), "10:20:10,14");
        assert_eq!(Snapshot::at(Xid(7)).to_string(), "7:7:");
    }
}
