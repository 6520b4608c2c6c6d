//! Replies are written, and those who wait for them are told.

use std::{
    future::{Future, poll_fn},
    pin::pin,
};

use futures_util::FutureExt as _;
use tokio_postgres::{error::SqlState, types::ToSql};
use tpro_runtime::db::{is_refusal, is_shortage, plain};
use tpro_wire::uid::Uid;
use uuid::Uuid;

use super::{
    Outbox, OutboxError,
    error::{new_handlers, unwritten},
};
use crate::core::{Settled, Unwritten};

impl Outbox {
    /// Writes outcomes; the first reply of a row wins. Those who wait for them are told. Returns
    /// the number of rows that were written, or why none could be, if the session is not at fault.
    pub async fn settle(&self, batch: &[Settled]) -> Result<Result<u64, Unwritten>, OutboxError> {
        let Some(number) = self.callbacks.number_for(batch) else { return Ok(Err(new_handlers())) };
        let ids: Vec<i64> = column(batch, |s| s.settlement.id);
        let uids: Vec<Uuid> = column(batch, |s| Uid::uuid(&s.settlement.uid));
        let status: Vec<&str> = column(batch, |s| s.settlement.status.as_str());
        let result: Vec<Option<&str>> = column(batch, |s| s.settlement.result.as_deref());
        let error: Vec<Option<&str>> = column(batch, |s| s.settlement.error.as_deref());
        let headers: Vec<Option<&str>> = column(batch, |s| s.settlement.headers.as_deref());
        let attempts: Vec<i32> = column(batch, |s| s.settlement.attempts);
        let sent_at = column(batch, |s| s.settlement.sent_at);
        let responder: Vec<Option<&str>> = column(batch, |s| s.settlement.responder.as_deref());
        let columns: [&(dyn ToSql + Sync); 10] =
            [&ids, &uids, &status, &result, &error, &headers, &attempts, &sent_at, &responder, &number];
        let write =
            async |statement| before(self.client.execute(statement, &columns), self.tell_waiters(&ids)).await;
        let result = match batch.iter().any(|settled| settled.settlement.hold.is_some()) {
            true => before(self.settle_holding(batch, &columns), self.tell_waiters(&ids)).await,
            false => match write(&self.statements.settle).await {
                Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                    write(&self.statements.settle_unsettled).await
                }
                result => result,
            },
        };
        match result {
            Ok(0) if self.read_callbacks().await? != number => Ok(Err(new_handlers())),
            Ok(rows) => Ok(Ok(rows)),
            Err(source) => match unwritten(&source) {
                Some(unwritten) => Ok(Err(unwritten)),
                None => Err(OutboxError::Run { name: "reply.settle", source }),
            },
        }
    }

    /// Wakes those who wait for the replies of these rows, which are committed. One who is not
    /// woken looks by himself, so that an error is nobody's concern.
    pub async fn tell_waiters(&self, ids: &[i64]) {
        let _ = self.client.execute(&self.statements.replied, &[&self.service, &ids]).await;
    }

    /// Tries if replies can be written at all. Returns why not.
    pub async fn try_to_settle(&self) -> Result<Option<String>, OutboxError> {
        match self.client.batch_execute(&self.statements.try_settle).await {
            Ok(()) => Ok(None),
            Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => Ok(None),
            Err(error) if is_refusal(&error) || is_shortage(&error) => Ok(Some(plain(&error))),
            Err(source) => Err(OutboxError::Run { name: "reply.try", source }),
        }
    }
}

/// The result of the first. The second begins right behind it, so that its statement is sent
/// without a round trip in between, and is not waited for.
async fn before<F: Future>(first: F, second: impl Future) -> F::Output {
    let (mut first, mut second) = (pin!(first), pin!(second.fuse()));
    poll_fn(|context| {
        let given = first.as_mut().poll(context);
        let _ = second.as_mut().poll(context);
        given
    })
    .await
}

/// A column of what is written.
pub(super) fn column<'a, T>(batch: &'a [Settled], of: impl Fn(&'a Settled) -> T) -> Vec<T> {
    batch.iter().map(of).collect()
}
