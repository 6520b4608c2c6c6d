//! Rows turned into columns, for one statement over `unnest`.

use tokio::sync::oneshot;
use uuid::Uuid;

use super::{
    command::{Finish, Finished},
    taking::Taking,
};

/// The columns of messages to take.
#[derive(Default)]
pub(super) struct AcceptColumns<'a> {
    pub(super) uid: Vec<Uuid>,
    pub(super) run: Vec<i32>,
    pub(super) source: Vec<Option<&'a str>>,
    pub(super) target: Vec<&'a str>,
    pub(super) attempt: Vec<i32>,
    pub(super) budget_ms: Vec<i64>,
    pub(super) proof: Vec<String>,
}

impl<'a> AcceptColumns<'a> {
    pub(super) fn of(accepts: &'a [Taking]) -> Self {
        let mut columns = Self::default();
        for Taking { accept, bid, .. } in accepts {
            columns.uid.push(accept.question.uid.uuid());
            columns.run.push(bid.run());
            columns.source.push(accept.question.source.as_deref());
            columns.target.push(&accept.question.target);
            columns.attempt.push(accept.attempt);
            columns.budget_ms.push(accept.budget_ms);
            columns.proof.push(accept.question.proof());
        }
        columns
    }
}

/// The columns of outcomes to store.
#[derive(Default)]
pub(super) struct FinishColumns<'a> {
    pub(super) uid: Vec<Uuid>,
    pub(super) run: Vec<i32>,
    pub(super) answer: Vec<&'a str>,
}

impl<'a> FinishColumns<'a> {
    pub(super) fn of(finishes: &'a [(Finish, oneshot::Sender<Finished>)]) -> Self {
        let mut columns = Self::default();
        for (finish, _) in finishes {
            columns.uid.push(finish.uid.uuid());
            columns.run.push(finish.run);
            columns.answer.push(&finish.answer);
        }
        columns
    }
}
