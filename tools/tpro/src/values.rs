//! The values of arguments.

use clap::ValueEnum;
use uuid::Uuid;

use crate::time;

/// The name of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// By its number in an outbox.
    Id(i64),
    /// By its identity.
    Uid(Uuid),
}

/// The state of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the words are those of the database")]
pub enum Status {
    Later,
    Waiting,
    Ok,
    Error,
    Timeout,
    Unavailable,
    Expired,
    Cancelled,
}

impl Status {
    /// The word of the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Later => "later",
            Self::Waiting => "waiting",
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A shell.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs, reason = "each says what it is")]
pub enum Shell {
    Bash,
    Zsh,
}

pub fn number(least: u64, most: u64) -> impl clap::builder::TypedValueParser<Value = usize> {
    use clap::builder::TypedValueParser as _;
    clap::value_parser!(u64).range(least..=most).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
}

pub fn which(text: &str) -> Result<Which, String> {
    id(text)
        .map(Which::Id)
        .or_else(|_| uid(text).map(Which::Uid))
        .map_err(|_| format!("give an id such as 1234, or a uid such as {EXAMPLE}"))
}

pub fn id(text: &str) -> Result<i64, String> {
    text.parse().ok().filter(|id| *id > 0).ok_or_else(|| "give the id of a message, such as 1234".to_owned())
}

pub fn mark(text: &str) -> Result<i64, String> {
    id_printed_by(text, "mark")
}

pub fn given_back(text: &str) -> Result<i64, String> {
    id_printed_by(text, "back")
}

fn id_printed_by(text: &str, task: &str) -> Result<i64, String> {
    let id = text.parse().ok().filter(|id| *id >= 0);
    id.ok_or_else(|| format!("give the id that tpro migrate {task} has printed, such as 1234"))
}

pub fn uid(text: &str) -> Result<Uuid, String> {
    // A uuid without hyphens could be a number that is too large.
    let uid = Some(text).filter(|text| text.len() == 36).and_then(|text| text.parse().ok());
    uid.ok_or_else(|| format!("give a uid such as {EXAMPLE}"))
}

const EXAMPLE: &str = "019acac2-0000-7000-8000-000000000000";

pub fn span(text: &str) -> Result<i64, String> {
    time::seconds(text).ok_or_else(|| "give a number of seconds, or one with s, m, h or d".to_owned())
}

pub fn pause(text: &str) -> Result<i64, String> {
    let span = span(text)?;
    Some(span).filter(|span| (1..=3_600).contains(span)).ok_or_else(|| "give a time from 1s to 1h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_named_by_id_or_uid() {
        assert_eq!(which("12"), Ok(Which::Id(12)));
        assert!(matches!(which("019acac2-0000-7000-8000-000000000000"), Ok(Which::Uid(_))));
        for text in ["0", "-1", "x", "", "9223372036854775808", "019acac2000070008000000000000000"] {
            assert!(which(text).is_err(), "{text}");
        }
    }
}
