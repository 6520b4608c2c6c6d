//! Readiness by named checks: a copy is ready when no check complains.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Named checks, with the complaint of each.
#[derive(Clone, Default)]
pub struct Health {
    failing: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

impl Health {
    /// The check is fine. Logs when it was not.
    pub fn ok(&self, check: &'static str) {
        if self.lock().remove(check).is_some() {
            tracing::info!(check, "ready again: {check}");
        }
    }

    /// The check fails, for this reason (no secrets). Logs when the reason is new.
    pub fn fail(&self, check: &'static str, reason: impl Into<String>) {
        let reason = reason.into();
        let before = self.lock().insert(check, reason.clone());
        if before.as_ref() != Some(&reason) {
            tracing::warn!(check, "not ready: {check}: {reason}");
        }
    }

    /// The check fails, for a reason that is planned (starting, stopping) and not worth a warning.
    pub fn hold(&self, check: &'static str, reason: &str) {
        self.lock().insert(check, reason.into());
    }

    /// The planned reason is over.
    pub fn release(&self, check: &'static str) {
        self.lock().remove(check);
    }

    /// All failing checks; empty means ready.
    pub fn failing(&self) -> Vec<(&'static str, String)> {
        self.lock().iter().map(|(check, reason)| (*check, reason.clone())).collect()
    }

    /// True if this check fails.
    pub fn is_failing(&self, check: &str) -> bool {
        self.lock().contains_key(check)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_ready_when_no_check_complains() {
        let health = Health::default();
        assert!(health.failing().is_empty());
        health.fail("nats", "disconnected");
        health.fail("database", "not reachable");
        health.fail("nats", "still disconnected");
        assert_eq!(
            health.failing(),
            [("database", "not reachable".to_owned()), ("nats", "still disconnected".to_owned())]
        );
        health.ok("nats");
        health.ok("database");
        assert!(health.failing().is_empty());
    }
}
