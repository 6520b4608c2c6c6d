//! The bounds of a partition, and what follows from them alone.

/// The keys of a partition: ids, or days since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bounds {
    /// The first key. 0: no lower bound.
    pub low: i64,
    /// The first key behind it. The greatest number: no upper bound.
    pub high: i64,
}

impl Bounds {
    /// True for the overflow partition.
    pub fn is_rest(self) -> bool {
        self.high == i64::MAX
    }

    /// True if a key may be in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.low < other.high && other.low < self.high
    }

    /// True if no key of it was given out, `next` being the first key that was not. Never true for
    /// the overflow partition.
    pub fn is_ahead(self, next: i64) -> bool {
        self.low >= next && !self.is_rest()
    }

    /// True if all of its keys were given out.
    pub fn is_passed(self, next: i64) -> bool {
        self.high <= next
    }

    /// True if replies with these keys may go: no partition of the outbox can have their messages.
    pub fn have_outlived(self, messages: impl IntoIterator<Item = Self>, next: i64) -> bool {
        self.is_passed(next) && !messages.into_iter().any(|message| message.overlaps(self))
    }
}

#[cfg(test)]
mod tests {
    use super::Bounds;

    #[test]
    fn replies_go_when_no_partition_of_the_outbox_can_have_their_messages() {
        let replies = Bounds { low: 10, high: 20 };
        let outlived = |low, high, next| replies.have_outlived([Bounds { low, high }], next);
        assert!(outlived(0, 10, 20) && outlived(20, i64::MAX, 20));
        assert!(!outlived(0, 11, 20) && !outlived(19, i64::MAX, 20), "they touch");
        assert!(!outlived(20, i64::MAX, 19), "a message may still come");
    }

    #[test]
    fn the_overflow_partition_is_never_ahead() {
        assert!(Bounds { low: 10, high: 20 }.is_ahead(10));
        assert!(!Bounds { low: 10, high: 20 }.is_ahead(11));
        assert!(!Bounds { low: 10, high: i64::MAX }.is_ahead(10));
    }
}
