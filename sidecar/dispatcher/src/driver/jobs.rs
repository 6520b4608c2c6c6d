//! The statements that the core asks for, on the session that leads.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use tpro_runtime::clock::Clock;

use super::{
    outbox::{Looked, Outbox, OutboxError},
    recovery,
};
use crate::core::{Done, Statement, published::Row};

/// A statement that is under way.
pub(crate) type Job = BoxFuture<'static, Result<Done, OutboxError>>;

/// Runs a statement.
pub(crate) fn job(outbox: Arc<Outbox>, clock: &Clock, statement: Statement) -> Job {
    match statement {
        Statement::Page { window, first, limit, closed, doubted } => async move {
            let (cur, rows) = outbox.page(&window, first, limit as i64, &closed).await?;
            let gone = if doubted { settled(&outbox, &rows).await? } else { Vec::new() };
            Ok(Done::Page { cur, rows, limit, gone })
        }
        .boxed(),
        Statement::Fetch { asked, doubted } => async move {
            let mut ids: Vec<i64> = asked.iter().map(|(_, row)| row.id()).collect();
            ids.sort_unstable();
            let rows = outbox.fetch(&ids).await?;
            let gone = if doubted { settled(&outbox, &rows).await? } else { Vec::new() };
            Ok(Done::Fetched { asked, rows, gone })
        }
        .boxed(),
        Statement::Recover(window) => {
            async move { recovery::page(&outbox, &window).await.map(Done::Recovered) }.boxed()
        }
        Statement::Holds(asked) => async move {
            let rows = outbox.holds(&asked).await?;
            Ok(Done::Holds(asked, rows))
        }
        .boxed(),
        Statement::Recall(ids) => async move {
            let gone = if ids.is_empty() { Vec::new() } else { outbox.settled(&ids).await? };
            if gone.is_empty() {
                return Ok(Done::Recalled { gone, owed: Vec::new() });
            }
            // The session that has settled them could tell nobody before its commit.
            let (owed, ()) = tokio::join!(outbox.owed(&gone), outbox.tell_waiters(&gone));
            Ok(Done::Recalled { gone, owed: owed? })
        }
        .boxed(),
        Statement::Forward(ids) => async move { outbox.forwards(&ids).await.map(Done::Forwards) }.boxed(),
        Statement::Sleep => {
            async move { outbox.sleep().await.map(|(ours, leaders)| Done::Slept { ours, leaders }) }.boxed()
        }
        Statement::Wake => async move { outbox.wake().await.map(|()| Done::Woken) }.boxed(),
        Statement::Settle(writing) => async move {
            let result = outbox.settle(writing.part()).await?;
            Ok(Done::Settled(writing, result))
        }
        .boxed(),
        Statement::Missing(writing) => async move {
            let ids: Vec<i64> = writing.part().iter().map(|settled| settled.settlement.id).collect();
            let missing = outbox.unsettled(&ids).await?.into_iter().map(|row| row.id).collect();
            Ok(Done::Missing(writing, missing))
        }
        .boxed(),
        Statement::LookBack { seen, until, last, moves } => async move {
            let (Looked { found, owed, .. }, drawn) =
                recovery::look_back(&outbox, &seen, &until, last).await?;
            Ok(Done::LookedBack { until, found, owed, drawn, moves })
        }
        .boxed(),
        Statement::MoveCursor(cursor) => async move {
            match outbox.move_cursor(&cursor).await {
                Err(error) if error.is_shortage() && !cursor.clean => {
                    // The old one is as good, only older: who takes over looks through more.
                    tracing::warn!("{error}; the cursor stays where it was");
                    Ok(Done::Moved)
                }
                moved => moved.map(|()| Done::Moved),
            }
        }
        .boxed(),
        Statement::Note { unsettled, whole, read } => {
            async move { outbox.note_backlog(unsettled, whole, read).await.map(|()| Done::Noted) }.boxed()
        }
        Statement::SendDue(from) => async move { outbox.send_due(from).await.map(Done::SentDue) }.boxed(),
        Statement::TryToSettle => async move { outbox.try_to_settle().await.map(Done::Tried) }.boxed(),
        Statement::Heartbeat => {
            let clock = clock.clone();
            async move {
                clock.count_skew(outbox.heartbeat().await?);
                outbox.look_for_callbacks().await?;
                Ok(Done::Beat)
            }
            .boxed()
        }
    }
}

/// Those of these rows that have a reply, in order.
async fn settled(outbox: &Outbox, rows: &[Row]) -> Result<Vec<i64>, OutboxError> {
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    if ids.is_empty() { Ok(ids) } else { outbox.settled(&ids).await }
}
