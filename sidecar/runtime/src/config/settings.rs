//! The settings of a service as a type.

use super::own::OwnSetting;

/// The settings of a service as a struct, read once at the start. `#[derive(Settings)]` writes it:
/// a field is a setting.
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
