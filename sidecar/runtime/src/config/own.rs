//! The settings that a service declares beside those that all services have.

/// A setting of a service's own, read from the environment and the `.env` file like those of tpro.
#[derive(Clone, Copy, Debug)]
pub struct OwnSetting {
    /// The name: `EXAMPLE_PAUSE_MS`.
    pub key: &'static str,
    /// The value when nobody sets it.
    pub default: &'static str,
    /// One line for a person.
    pub help: &'static str,
}
