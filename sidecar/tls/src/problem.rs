//! A setting that cannot be taken.

/// A setting of TLS that cannot be taken, with the rule that it breaks and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}={value}: {rule}")]
pub struct Problem {
    /// The name of the setting.
    pub setting: &'static str,
    /// Its value: a path or a word, never a secret.
    pub value: String,
    /// The rule.
    pub rule: String,
}
