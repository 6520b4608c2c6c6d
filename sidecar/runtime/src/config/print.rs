//! The effective configuration, to be printed.

use std::fmt;

use super::origin::Origin;

/// One setting as it took effect.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    key: &'static str,
    /// Without secrets.
    shown: String,
    origin: Origin,
}

impl Setting {
    pub(super) fn new(key: &'static str, shown: &str, origin: Origin) -> Self {
        Self { key, shown: shown.to_owned(), origin }
    }
}

impl Setting {
    /// Sets the text to print where the default is not a fixed text.
    pub(super) fn is_default_of(&mut self, key: &str, shown: &str) {
        if self.key == key && self.origin == Origin::Default {
            self.shown = shown.to_owned();
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = if self.shown.is_empty() { "(not set)" } else { &self.shown };
        write!(f, "{}={} ({})", self.key, shown, self.origin)
    }
}
