//! A transaction's full id, PostgreSQL's `xid8`.

/// A transaction's id. It is handed out at the first write, and again by a server that has lost its newest part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xid(pub u64);

impl Xid {
    /// The id after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}
