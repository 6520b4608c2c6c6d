//! A batch of outcomes, written by one statement or by parts of it.

mod spans;

use std::{collections::HashSet, ops::Range, sync::Arc, time::Duration};

use tokio_postgres::error::SqlState;
use tpro_runtime::{
    db::{is_refusal, is_shortage, plain},
    failpoint,
    settlement::Settlement,
    telemetry::Spans,
};
use tpro_wire::{
    error::{RpcError, code},
    status::Status,
};

use self::spans::begin_spans;
use super::{
    outbox::{Outbox, OutboxError},
    stuck::Hold,
};
use crate::core::{
    settled::Settled,
    settler::{Batch, Written},
};

/// The pause before outcomes are tried again that the server had no room for, or refused.
const STUCK_PAUSE: Duration = Duration::from_secs(1);

/// Writes a batch. A value that PostgreSQL does not take settles its message as an error, and only that one: the batch is
/// halved until it is found. So is one whose row another transaction has in hand, which is kept for later, as is one that a
/// trigger has swallowed: others may pass it. Outcomes that the server has no room for, or refuses, are tried again until they
/// are written; nothing more is sent meanwhile. Any other failure is the session's.
pub(crate) async fn write(outbox: Arc<Outbox>, spans: Spans, batch: Batch) -> Result<Written, OutboxError> {
    let Batch { outcomes: mut batch, retry } = batch;
    let open = begin_spans(&spans, &batch);
    // Halves that are still to be written, the next one last.
    let whole = 0..batch.len();
    let mut ranges = Vec::from([whole]);
    let mut refused = None;
    let mut held = Vec::new();
    let mut swallowed = Vec::new();
    // Outcomes that cannot be written for now, and why.
    let mut kept: Vec<Range<usize>> = Vec::new();
    let mut why = String::new();
    let mut hold: Option<Hold> = None;
    failpoint::pass("dispatcher.before_settle");
    loop {
        while let Some(range) = ranges.pop() {
            match outbox.settle(&batch[range.clone()]).await {
                Ok(rows) if rows == range.len() as u64 => {}
                // Some had a reply before, or a trigger has returned null, or a rule does something instead.
                Ok(_) => {
                    for at in unsettled(&outbox, &batch, range).await?.into_iter().flatten() {
                        swallowed.push(batch[at].settlement.id);
                        held.push(at);
                    }
                }
                Err(error) if (is_bad_value(error.code()) || is_held(&error)) && range.len() > 1 => {
                    ranges.extend(halves(range));
                }
                Err(error) if is_bad_value(error.code()) && refused != Some(range.start) => {
                    refuse(&mut batch[range.start].settlement, &error);
                    // Once: what takes its place is ours, and a fault in it must not go round for ever.
                    refused = Some(range.start);
                    ranges.push(range);
                }
                Err(error) if is_held(&error) => held.push(range.start),
                // The first that is refused is looked for, since the others may be written.
                Err(error) if is_refusal(&error) && range.len() > 1 && kept.is_empty() => {
                    ranges.extend(halves(range));
                }
                Err(error) if is_refusal(&error) => {
                    why = plain(&error);
                    // Rows that are gone with their partition, or settled by others, need no reply.
                    kept.extend(unsettled(&outbox, &batch, range).await?);
                }
                Err(error) if is_shortage(&error) => {
                    why = plain(&error);
                    kept.push(range);
                }
                Err(source) => return Err(OutboxError::Run { name: "reply.settle", source }),
            }
        }
        if kept.is_empty() {
            break;
        }
        let replies: usize = kept.iter().map(|range| range.len()).sum();
        tracing::warn!(replies, "replies cannot be written: {why}; trying again");
        hold.get_or_insert_with(|| outbox.stuck().hold(String::new())).says(why.clone());
        tokio::time::sleep(STUCK_PAUSE).await;
        ranges.append(&mut kept);
    }
    drop(hold);
    failpoint::pass("dispatcher.settled");
    drop(open);
    // The later ones first, so that the places of the others stay.
    held.sort_unstable_by(|a, b| b.cmp(a));
    let held = held.into_iter().map(|at| batch.swap_remove(at)).collect();
    Ok(Written { done: batch, held, swallowed, retry })
}

/// Both halves of a range, the first of them last.
fn halves(range: Range<usize>) -> [Range<usize>; 2] {
    let middle = range.start + range.len() / 2;
    [middle..range.end, range.start..middle]
}

/// Those of a range whose messages are there and have no reply, as ranges of neighbours.
async fn unsettled(
    outbox: &Outbox,
    batch: &[Settled],
    range: Range<usize>,
) -> Result<Vec<Range<usize>>, OutboxError> {
    let ids: Vec<i64> = batch[range.clone()].iter().map(|settled| settled.settlement.id).collect();
    let missing: HashSet<i64> = outbox.unsettled(&ids).await?.into_iter().map(|(id, _)| id).collect();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for at in range.filter(|at| missing.contains(&batch[*at].settlement.id)) {
        match ranges.last_mut() {
            Some(last) if last.end == at => last.end += 1,
            _ => ranges.push(at..at + 1),
        }
    }
    Ok(ranges)
}

/// True if another transaction has the row's reply in hand: the handler of a leader before us, or an operator who cancels.
fn is_held(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE)
}

/// An error that is about a value and not about the server: data exceptions (22), and limits of what it takes (54), which
/// `\u0000`, lone surrogates, `1e200000` and 20,000 levels of nesting run into.
fn is_bad_value(code: Option<&SqlState>) -> bool {
    code.is_some_and(|code| code.code().starts_with("22") || code.code().starts_with("54"))
}

/// The reply cannot be stored; that is the outcome then.
fn refuse(settlement: &mut Settlement, error: &tokio_postgres::Error) {
    let state = error.code().map_or("22000", SqlState::code);
    tracing::warn!(
        message.id = %settlement.uid, trace.id = %settlement.traceparent.trace_id_hex(), tpro.target = %settlement.target,
        sqlstate = state, "the reply cannot be stored as jsonb; settled as an error"
    );
    let text = format!("the reply is JSON that PostgreSQL cannot store (SQLSTATE {state})");
    settlement.status = Status::Error;
    settlement.result = None;
    settlement.error = Some(RpcError::new(code::BAD_REPLY, text).to_json());
    settlement.headers = None;
    settlement.responder = None;
}
