//! A set of ids: the model has few.

/// A set of ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ids(u32);

impl Ids {
    pub(super) fn insert(&mut self, id: i64) {
        self.0 |= 1 << id;
    }

    pub(super) fn remove(&mut self, id: i64) {
        self.0 &= !(1 << id);
    }

    pub(super) fn contains(self, id: i64) -> bool {
        self.0 & (1 << id) != 0
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn last(self) -> Option<i64> {
        self.0.checked_ilog2().map(i64::from)
    }

    /// In order.
    pub(super) fn iter(self) -> impl Iterator<Item = i64> {
        (0..i64::from(u32::BITS)).filter(move |id| self.contains(*id))
    }
}

impl FromIterator<i64> for Ids {
    fn from_iter<I: IntoIterator<Item = i64>>(ids: I) -> Self {
        let mut all = Self::default();
        ids.into_iter().for_each(|id| all.insert(id));
        all
    }
}
