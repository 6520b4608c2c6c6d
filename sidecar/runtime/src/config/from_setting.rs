//! The types that a setting of a service's own can have.

use std::{path::PathBuf, time::Duration};

use super::{secret::Secret, time::duration};

/// A type that is read from the text of a setting.
///
/// Implement it for a type of your own; the error is the rule that a value must keep (`must be a
/// colour`), and does not repeat the value.
///
/// ```
/// # use tpro_runtime::config as tpro_sidecar;
/// use tpro_sidecar::FromSetting;
///
/// struct Percent(u8);
///
/// impl FromSetting for Percent {
///     fn from_setting(text: &str) -> Result<Self, String> {
///         let number = text.parse().ok().filter(|number| *number <= 100);
///         number.map(Self).ok_or_else(|| "must be a number from 0 to 100".to_owned())
///     }
/// }
///
/// assert_eq!(Percent::from_setting("40").map(|percent| percent.0), Ok(40));
/// assert!(Percent::from_setting("101").is_err());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a setting",
    note = "numbers, `bool` (yes or no), `Duration`, `String`, `PathBuf`, `Secret` and `Option` of these can",
    note = "implement `tpro_sidecar::FromSetting` for a type of your own"
)]
pub trait FromSetting: Sized {
    /// True if a value of this type is never shown.
    const IS_SECRET: bool = false;

    /// Reads the text of a setting. It is not empty.
    fn from_setting(text: &str) -> Result<Self, String>;

    /// The value of a setting that is not set and has no default.
    fn unset() -> Result<Self, String> {
        Err("must be set".to_owned())
    }
}

macro_rules! whole_numbers {
    ($($type:ty)*) => {$(
        impl FromSetting for $type {
            fn from_setting(text: &str) -> Result<Self, String> {
                let rule = || format!("must be a whole number from {} to {}", Self::MIN, Self::MAX);
                text.parse().map_err(|_| rule())
            }
        }
    )*};
}

whole_numbers! { u8 u16 u32 u64 usize i8 i16 i32 i64 isize }

impl FromSetting for f64 {
    fn from_setting(text: &str) -> Result<Self, String> {
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        number.ok_or_else(|| "must be a number".to_owned())
    }
}

/// `yes` or `no`.
impl FromSetting for bool {
    fn from_setting(text: &str) -> Result<Self, String> {
        match text {
            "yes" => Ok(true),
            "no" => Ok(false),
            _ => Err("must be yes or no".to_owned()),
        }
    }
}

impl FromSetting for String {
    fn from_setting(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl FromSetting for PathBuf {
    fn from_setting(text: &str) -> Result<Self, String> {
        Ok(Self::from(text))
    }
}

impl FromSetting for Secret {
    const IS_SECRET: bool = true;

    fn from_setting(text: &str) -> Result<Self, String> {
        Ok(Self::new(text))
    }
}

/// Seconds, or a number with a unit: `500ms`, `25s`, `15m`, `2h`, `2d`. Where the name of the
/// setting says milliseconds (`..._MS`), take a number instead.
impl FromSetting for Duration {
    fn from_setting(text: &str) -> Result<Self, String> {
        let rule = || "must be a time: seconds, or a number with ms, s, m, h or d".to_owned();
        duration(text, Duration::from_secs(1)).ok_or_else(rule)
    }
}

/// `None` if it is not set.
impl<T: FromSetting> FromSetting for Option<T> {
    const IS_SECRET: bool = T::IS_SECRET;

    fn from_setting(text: &str) -> Result<Self, String> {
        T::from_setting(text).map(Some)
    }

    fn unset() -> Result<Self, String> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_does_not_fit_is_refused_by_the_rule_alone() {
        assert_eq!(u16::from_setting("8080"), Ok(8080));
        assert_eq!(bool::from_setting("yes"), Ok(true));
        assert_eq!(Duration::from_setting("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(Option::<u8>::unset(), Ok(None));
        assert_eq!(Option::<u8>::from_setting("7"), Ok(Some(7)));
        for said in [
            u16::from_setting("canary").err(),
            i8::from_setting("128canary").err(),
            f64::from_setting("canary").err(),
            f64::from_setting("inf").err(),
            bool::from_setting("canary").err(),
            Duration::from_setting("canary").err(),
            u8::unset().err(),
        ] {
            let said = said.unwrap();
            assert!(said.starts_with("must be ") && !said.contains("canary"), "{said}");
        }
    }
}
