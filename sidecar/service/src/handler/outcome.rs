//! The outcome of a handler, as it is stored and answered.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tpro_wire::{RpcError, error::code};

use super::Fault;

/// The outcome of a handler.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// A result, JSON text.
    Result(String),
    /// An error.
    Error(RpcError),
}

/// The form in `mq_outcome.answer`: `{"result":...}` or `{"error":{...}}`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stored {
    Result(Box<RawValue>),
    Error(RpcError),
}

impl Outcome {
    /// The outcome of this result. More than `limit` bytes cannot be carried.
    pub(crate) fn of(result: Result<String, Fault>, limit: usize) -> Self {
        let outcome = match result {
            Ok(result) => Self::Result(result),
            Err(fault) => Self::Error(fault.into_error()),
        };
        let size = match &outcome {
            Self::Result(result) => result.len(),
            Self::Error(error) => {
                error.message.len() + error.data.as_ref().map_or(0, |data| data.get().len())
            }
        };
        if size <= limit {
            return outcome;
        }
        Self::Error(RpcError::new(
            code::TOO_LARGE,
            format!("the answer has {size} bytes, {limit} can be carried"),
        ))
    }

    /// An error of ours.
    pub(crate) fn error(code: i64, text: impl Into<String>) -> Self {
        Self::Error(RpcError::new(code, text))
    }

    /// The form that is stored.
    pub(crate) fn to_stored(&self) -> String {
        match self {
            Self::Result(result) => format!(r#"{{"result":{result}}}"#),
            Self::Error(error) => format!(r#"{{"error":{}}}"#, error.to_json()),
        }
    }

    /// Reads the form that is stored.
    pub(crate) fn from_stored(text: &str) -> Result<Self, serde_json::Error> {
        Ok(match serde_json::from_str(text)? {
            Stored::Result(result) => Self::Result(result.get().to_owned()),
            Stored::Error(error) => Self::Error(error),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_comes_back_from_the_table() {
        let result = Outcome::Result(r#"{"sid":"x","n":[1.50]}"#.into());
        assert!(
            matches!(Outcome::from_stored(&result.to_stored()), Ok(Outcome::Result(r)) if r == r#"{"sid":"x","n":[1.50]}"#)
        );
        let error = Outcome::of(Err(Fault::new(7, "no").data(["a"])), 100);
        assert!(
            matches!(Outcome::from_stored(&error.to_stored()), Ok(Outcome::Error(e)) if e.to_json() == r#"{"code":7,"message":"no","data":["a"]}"#)
        );
        // PostgreSQL prints jsonb with a space.
        assert!(matches!(Outcome::from_stored(r#"{"result": null}"#), Ok(Outcome::Result(r)) if r == "null"));
        assert!(Outcome::from_stored("{}").is_err());
    }

    #[test]
    fn an_answer_that_is_too_large_becomes_an_error_with_both_sizes() {
        let Outcome::Error(error) = Outcome::of(Ok("x".repeat(11)), 10) else { panic!() };
        assert_eq!(error.code, code::TOO_LARGE);
        assert_eq!(error.message, "the answer has 11 bytes, 10 can be carried");
    }
}
