//! Reads the rows of `known.sql`.

use std::borrow::Cow;

use tokio_postgres::Row;
use tpro_wire::{Uid, error::code};

use super::{
    command::Accepted,
    question::{First, Question},
    verdict::{Known, LastRun, Owner, Verdict},
};
use crate::handler::{cause::describe, outcome::Outcome};

/// The facts about the message of this question.
pub(super) fn facts(row: &Row, question: &Question) -> Known {
    let last = row.get::<_, Option<i32>>("run").map(|number| LastRun {
        number,
        owner: match row.get("ours") {
            true => Owner::ThisCopy,
            false => {
                Owner::AnotherCopy { is_present: row.get::<_, Option<bool>>("is_present") == Some(true) }
            }
        },
        has_time: row.get("has_time"),
    });
    Known {
        is_repeat: first(row).is_none_or(|first| question.repeats(&first)),
        is_done: row.get::<_, Option<&str>>("answer").is_some(),
        last,
        put_off: row.get("put_off"),
    }
}

/// The verdict, with the outcome that is stored.
pub(super) fn accepted(verdict: Verdict, row: &Row, uid: Uid) -> Accepted {
    let outcome =
        || row.get::<_, Option<&str>>("answer").map_or_else(unreadable, |answer| stored(uid, answer));
    Accepted::of(verdict, outcome)
}

/// The outcome that is stored.
pub(super) fn stored(uid: Uid, answer: &str) -> Outcome {
    Outcome::from_stored(answer).unwrap_or_else(|error| {
        tracing::error!(message.id = %uid, "a stored outcome cannot be read: {}", describe(&error));
        unreadable()
    })
}

/// The outcome in place of one that cannot be read.
pub(super) fn unreadable() -> Outcome {
    Outcome::error(code::INTERNAL, "internal error")
}

/// The question that was asked first; none if nobody has asked.
fn first(row: &Row) -> Option<First<'_>> {
    Some(First {
        source: row.get("source"),
        target: row.get::<_, Option<&str>>("target")?,
        proof: row.get::<_, Option<&str>>("proof").map(Cow::Borrowed),
        is_awaited: row.get("is_awaited"),
    })
}
