//! The settings of a service as a type.

use super::own::OwnSetting;

/// The settings of a service as a struct, read once at the start. `#[derive(Settings)]` writes it:
/// a field is a setting.
///
/// ```
/// # use tpro_runtime::config as tpro_sidecar;
/// use tpro_sidecar::{OwnSetting, Settings};
///
/// // As the derive macro writes it.
/// struct Own {
///     pause: u32,
/// }
///
/// impl Settings for Own {
///     fn declared() -> Vec<OwnSetting> {
///         vec![OwnSetting::of::<u32>("PAUSE_MS", "200", "the pause in milliseconds", false)]
///     }
///
///     fn read(text: &dyn Fn(&str) -> String) -> Result<Self, String> {
///         Ok(Self { pause: OwnSetting::value(&text("PAUSE_MS"))? })
///     }
/// }
///
/// assert_eq!(Own::read(&|_| "250".to_owned()).map(|own| own.pause), Ok(250));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no type of settings",
    note = "write `#[derive(tpro_sidecar::Settings)]` on a struct with a `#[setting(\"KEY\")]` for each field"
)]
pub trait Settings: Sized {
    /// The settings, in their order.
    fn declared() -> Vec<OwnSetting>;

    /// Reads the values. `text` gives the text of a key, its default, or the empty text.
    fn read(text: &dyn Fn(&str) -> String) -> Result<Self, String>;
}

/// A service without settings of its own.
impl Settings for () {
    fn declared() -> Vec<OwnSetting> {
        Vec::new()
    }

    fn read(_: &dyn Fn(&str) -> String) -> Result<Self, String> {
        Ok(())
    }
}
