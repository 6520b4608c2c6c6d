//! Those who cannot write replies, and why. As long as there are any, nothing more is sent: a
//! message that cannot be settled would be sent again by each leader after this one.

use std::collections::BTreeMap;

/// The text for a server that takes rows and has fewer afterwards.
pub const SWALLOWED: &str = "mq_reply takes rows and does not keep them: a trigger or a rule on it takes them away; \
    SELECT * FROM tpro.faults(...) names it";

/// The reasons of those who cannot write, each under a number of its own.
#[derive(Default)]
pub struct Stuck {
    last: u64,
    reasons: BTreeMap<Hold, String>,
}

/// One who cannot write, until it is [let go](Stuck::release).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hold(u64);

impl Stuck {
    /// Somebody cannot write.
    pub fn hold(&mut self, reason: String) -> Hold {
        self.last += 1;
        self.reasons.insert(Hold(self.last), reason);
        Hold(self.last)
    }

    /// It says something else now.
    pub fn says(&mut self, hold: Hold, reason: String) {
        self.reasons.insert(hold, reason);
    }

    /// It can write again.
    pub fn release(&mut self, hold: Hold) {
        self.reasons.remove(&hold);
    }

    /// True as long as there are any.
    pub fn is_stuck(&self) -> bool {
        !self.reasons.is_empty()
    }

    /// The reason of the first of those who cannot write.
    pub fn reason(&self) -> Option<&str> {
        self.reasons.values().next().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_stuck_as_long_as_anybody_is() {
        let mut stuck = Stuck::default();
        let (first, second) = (stuck.hold("a".into()), stuck.hold("b".into()));
        stuck.says(first, "c".into());
        assert_eq!(stuck.reason(), Some("c"));
        stuck.release(first);
        assert_eq!((stuck.is_stuck(), stuck.reason()), (true, Some("b")));
        stuck.release(second);
        assert_eq!((stuck.is_stuck(), stuck.reason()), (false, None));
    }
}
