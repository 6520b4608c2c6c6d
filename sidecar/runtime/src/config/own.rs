//! The settings that a service declares beside those that all services have.

use super::from_setting::FromSetting;

/// A setting of a service's own, read from the environment and the `.env` file like those of tpro.
///
/// ```
/// # use tpro_runtime::config as tpro_sidecar;
/// use tpro_sidecar::OwnSetting;
///
/// let pause = OwnSetting::of::<u32>("PAUSE_MS", "200", "the pause in milliseconds", false);
/// assert!((pause.check)("250").is_ok() && (pause.check)("soon").is_err());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct OwnSetting {
    /// The name: `EXAMPLE_PAUSE_MS`.
    pub key: &'static str,
    /// The value when nobody sets it; empty if there is none.
    pub default: &'static str,
    /// One line for a person.
    pub help: &'static str,
    /// True if its value is never shown. A name that sounds like a secret makes one, too.
    pub is_secret: bool,
    /// Refuses a value, or the empty text of a setting that is not set, by the rule it breaks.
    pub check: fn(&str) -> Result<(), String>,
}

impl OwnSetting {
    /// A setting that may have any value.
    pub const fn text(key: &'static str, default: &'static str, help: &'static str) -> Self {
        Self { key, default, help, is_secret: false, check: |_| Ok(()) }
    }

    /// A setting whose value must be one of this type.
    pub fn of<T: FromSetting>(
        key: &'static str,
        default: &'static str,
        help: &'static str,
        is_secret: bool,
    ) -> Self {
        let is_secret = is_secret || T::IS_SECRET;
        Self { key, default, help, is_secret, check: |text| Self::value::<T>(text).map(drop) }
    }

    /// The value of a text; the empty text is a setting that is not set.
    pub fn value<T: FromSetting>(text: &str) -> Result<T, String> {
        if text.is_empty() { T::unset() } else { T::from_setting(text) }
    }
}
