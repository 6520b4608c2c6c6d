//! A problem of the configuration: the key, the place of the value, the value, and the rule.

use std::fmt;

use super::origin::Origin;

/// One setting that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    key: String,
    /// The place that the value is from. None when there is no value.
    origin: Option<Origin>,
    /// The value as it may be shown: none for secrets.
    shown: Option<String>,
    /// The rule it breaks and how to mend it.
    rule: String,
}

impl Problem {
    /// A setting that is missing.
    pub(super) fn unset(key: &str, rule: impl Into<String>) -> Self {
        Self { key: key.into(), origin: None, shown: None, rule: rule.into() }
    }

    /// A setting with a value that breaks a rule; `shown` must not hold a secret.
    pub(super) fn bad(key: &str, origin: Origin, shown: Option<String>, rule: impl Into<String>) -> Self {
        Self { key: key.into(), origin: Some(origin), shown, rule: rule.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(shown) = &self.shown {
            // Bounded, and on one line with any content.
            let shown: String = shown.chars().take(100).flat_map(char::escape_debug).collect();
            write!(f, "={shown}")?;
        }
        if let Some(origin) = &self.origin {
            write!(f, " ({origin})")?;
        }
        write!(f, ": {}", self.rule)
    }
}

/// All problems at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
