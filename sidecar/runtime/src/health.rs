//! Readiness by named checks: a copy is ready when no check complains.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

/// Named checks, with the complaint of each.
#[derive(Clone, Default)]
pub struct Health {
    failing: Arc<Mutex<BTreeMap<&'static str, String>>>,
    failure: Arc<Notify>,
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
        if before.is_none() {
            self.failure.notify_waiters();
        }
    }

    /// Waits until a check fails.
    pub async fn failure(&self) {
        // Listening first: one that begins to fail now is heard, or is found.
        let failure = self.failure.notified();
        if self.lock().is_empty() {
            failure.await;
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
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_check_that_fails_is_waited_for() {
        let health = Health::default();
        let mut failure = std::pin::pin!(health.failure());
        assert!(failure.as_mut().now_or_never().is_none(), "none fails");
        health.fail("inbox", "the connection was lost");
        failure.await;
        health.failure().await;
        health.ok("inbox");
        assert!(health.failure().now_or_never().is_none(), "none fails any more");
    }

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
