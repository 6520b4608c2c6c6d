//! A delivery that a copy works on.

use std::time::Duration;

use tpro_service::inbox::{question::Question, verdict::Bid};
use tpro_wire::{RequestId, RpcError, envelope};

use super::plan::Letter;
use crate::{postgres::SessionId, time::Time};

/// The subject and the id of an answer.
#[derive(Clone)]
pub struct Back {
    /// The subject; none for an event.
    pub subject: Option<std::sync::Arc<str>>,
    /// The id of the request.
    pub id: Option<RequestId>,
}

/// The outcome of a handler.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A result, JSON text.
    Result(String),
    /// An error.
    Error(i64, &'static str),
    /// An outcome as it is stored.
    Stored(String),
}

impl Outcome {
    /// The stored form.
    pub fn to_stored(&self) -> String {
        match self {
            Self::Result(result) => format!(r#"{{"result":{result}}}"#),
            Self::Error(code, text) => format!(r#"{{"error":{}}}"#, RpcError::new(*code, *text).to_json()),
            Self::Stored(text) => text.clone(),
        }
    }

    /// The answer to a request.
    pub fn answer(&self, id: Option<&RequestId>) -> Option<Vec<u8>> {
        let stored = self.to_stored();
        let body = stored.strip_suffix('}')?;
        match body.strip_prefix(r#"{"result":"#) {
            Some(result) => Some(envelope::success(id?, result)),
            None => {
                let error = serde_json::from_str(body.strip_prefix(r#"{"error":"#)?).ok()?;
                Some(envelope::failure(id, &error))
            }
        }
    }
}

/// The next answer that a run's session gives, or the thing that it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// BEGIN.
    Begin,
    /// The accept.
    Accept,
    /// What is known of the message.
    Known,
    /// The number of runs that were counted.
    Counted,
    /// The count of this run.
    Count,
    /// The effect.
    Effect,
    /// The handler works.
    Work,
    /// The outcome.
    Finish,
    /// COMMIT.
    Commit,
    /// ROLLBACK, before another try.
    Undo,
    /// A moment before another try.
    Pause,
    /// The inbox of the copy.
    Inbox,
}

/// A delivery at work.
pub struct Run {
    /// The process.
    pub process: usize,
    /// The message.
    pub uid: u128,
    /// Its question.
    pub question: Question,
    /// Where its answers go: that of the delivery, and those that have joined.
    pub backs: Vec<Back>,
    /// The message as its publisher has planned it.
    pub letter: Letter,
    /// The attempt of the requester.
    pub attempt: u32,
    /// When it came.
    pub received: Time,
    /// The end of its time.
    pub deadline: Time,
    /// The inbox has taken it.
    pub is_taken: bool,
    /// The run is counted, or need not be.
    pub is_counted: bool,
    /// The outcome to be stored in place of another run.
    pub instead: Option<Outcome>,
    /// Where it is.
    pub stage: Stage,
    /// Its bid.
    pub bid: Bid,
    /// The number of its run, when it has one.
    pub number: i32,
    /// Its session.
    pub session: Option<SessionId>,
    /// Its outcome.
    pub outcome: Option<Outcome>,
    /// Tries so far.
    pub tries: u32,
}

impl Run {
    /// The time that is left.
    pub fn left(&self, now: Time) -> Duration {
        self.deadline - now
    }
}
