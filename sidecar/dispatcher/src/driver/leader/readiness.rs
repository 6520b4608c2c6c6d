//! Readiness of a copy that leads: whether replies can be written.

use tpro_runtime::health::Health;

use crate::driver::stuck;

/// The last words of readiness.
#[derive(Default)]
pub(super) struct Readiness {
    /// The reason why nothing can be settled.
    said: Option<String>,
}

impl Readiness {
    /// Says why nothing can be settled, if that has changed.
    pub fn show(&mut self, stuck: Option<String>, health: &Health) {
        if stuck == self.said {
            return;
        }
        match &stuck {
            Some(reason) => {
                let text = format!("replies cannot be written, and nothing is sent until they can: {reason}");
                health.fail(stuck::CHECK, text);
            }
            None => health.ok(stuck::CHECK),
        }
        self.said = stuck;
    }
}
