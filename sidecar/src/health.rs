//! Readiness by named checks: a copy is ready when no check complains.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Named checks and what is wrong with each.
#[derive(Clone, Default)]
pub struct Health {
    failing: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

impl Health {
    /// The check is fine.
    pub fn ok(&self, check: &'static str) {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).remove(check);
    }
    /// The check fails, for this reason (no secrets).
    pub fn fail(&self, check: &'static str, reason: impl Into<String>) {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).insert(check, reason.into());
    }
    /// All failing checks; empty means ready.
    pub fn failing(&self) -> Vec<(&'static str, String)> {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.iter().map(|(check, reason)| (*check, reason.clone())).collect()
    }
}
