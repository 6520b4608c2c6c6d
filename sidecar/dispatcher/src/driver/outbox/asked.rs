//! The ids that a statement asks about, in order.

/// Ids, sorted, each once.
pub(super) struct Asked {
    ids: Vec<i64>,
    /// The least of them; 0 if there are none.
    pub least: i64,
    /// The greatest of them; 0 if there are none.
    pub greatest: i64,
}

impl Asked {
    pub fn of(ids: &[i64]) -> Self {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let (least, greatest) = (ids.first().copied().unwrap_or(0), ids.last().copied().unwrap_or(0));
        Self { ids, least, greatest }
    }

    /// True if they are all that lie between their ends.
    pub fn is_whole(&self) -> bool {
        self.greatest.abs_diff(self.least) < self.ids.len() as u64
    }

    /// True if they are nearly all that lie between their ends: at most one in five is not among
    /// them. Then it costs less to look at all, and to leave those out.
    pub fn is_dense(&self) -> bool {
        let ids = self.ids.len() as u64;
        self.greatest.abs_diff(self.least) < ids + ids / 4
    }

    pub fn has(&self, id: i64) -> bool {
        self.ids.binary_search(&id).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_whole_if_none_between_them_is_left_out() {
        for (ids, whole) in [
            (&[5][..], true),
            (&[5, 3, 4], true),
            (&[1, 2, 3, 5], false),
            (&[1, 1, 3], false),
            (&[i64::MIN, i64::MAX], false),
            (&[], false),
        ] {
            assert_eq!(Asked::of(ids).is_whole(), whole, "{ids:?}");
        }
    }

    #[test]
    fn ids_are_dense_if_few_between_them_are_left_out() {
        for (ids, dense) in [
            (&[5][..], true),
            (&[5, 1, 3, 2], true),
            (&[6, 1, 3, 2], false),
            (&[1, 3], false),
            (&[i64::MIN, i64::MAX], false),
            (&[], false),
        ] {
            assert_eq!(Asked::of(ids).is_dense(), dense, "{ids:?}");
        }
        let asked = Asked::of(&[3, 1]);
        assert!(asked.has(1) && asked.has(3) && !asked.has(2));
    }
}
