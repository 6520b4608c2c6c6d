//! Whether replies cannot be written, and why. As long as some cannot, nothing more is sent: what cannot be settled would be
//! sent again by each leader after this one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The readiness check.
pub(crate) const CHECK: &str = "replies";
/// What is said when the server takes rows and has fewer afterwards.
pub(crate) const SWALLOWED: &str = "mq_reply takes rows and does not keep them: a trigger or a rule on it takes them away; \
    SELECT * FROM tpro.faults(...) names it";

/// What those who cannot write say, each under a number of its own.
#[derive(Clone, Default)]
pub(crate) struct Stuck {
    reasons: Arc<Mutex<(u64, BTreeMap<u64, String>)>>,
}

impl Stuck {
    /// Somebody cannot write, until what this returns is dropped.
    pub fn hold(&self, reason: String) -> Hold {
        let mut reasons = self.lock();
        reasons.0 += 1;
        let number = reasons.0;
        reasons.1.insert(number, reason);
        Hold { stuck: self.clone(), number }
    }

    pub fn is_stuck(&self) -> bool {
        !self.lock().1.is_empty()
    }

    /// What the first of those who cannot write says.
    pub fn reason(&self) -> Option<String> {
        self.lock().1.values().next().cloned()
    }

    fn lock(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, String>)> {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who cannot write.
pub(crate) struct Hold {
    stuck: Stuck,
    number: u64,
}

impl Hold {
    /// It says something else now.
    pub fn says(&self, reason: String) {
        self.stuck.lock().1.insert(self.number, reason);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.stuck.lock().1.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_stuck_as_long_as_anybody_is() {
        let stuck = Stuck::default();
        let (first, second) = (stuck.hold("a".into()), stuck.hold("b".into()));
        first.says("c".into());
        assert_eq!(stuck.reason().as_deref(), Some("c"));
        drop(first);
        assert_eq!((stuck.is_stuck(), stuck.reason().as_deref()), (true, Some("b")));
        drop(second);
        assert_eq!((stuck.is_stuck(), stuck.reason()), (false, None));
    }
}
