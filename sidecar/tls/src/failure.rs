//! A connection that got no TLS.

use std::{error::Error, io};

use crate::problem::Problem;

/// The reason why a connection got no TLS, in one line that names the setting.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{words}")]
pub struct Failure {
    words: String,
    lasting: bool,
}

impl Failure {
    /// A fault that only a person can mend.
    pub(crate) fn lasting(words: String) -> Self {
        Self { words, lasting: true }
    }

    /// A fault that another try may not meet.
    pub(crate) fn passing(words: String) -> Self {
        Self { words, lasting: false }
    }

    /// True if only a person can mend it: another try is useless.
    pub fn is_lasting(&self) -> bool {
        self.lasting
    }

    /// The failure in this error, or in one that has caused it.
    pub fn of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(failure) = error.downcast_ref() {
                return Some(failure);
            }
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            if let Some(failure) = inner.and_then(|inner| inner.downcast_ref()) {
                return Some(failure);
            }
            next = error.source();
        }
        None
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::lasting(problem.to_string())
    }
}
