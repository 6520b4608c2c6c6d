//! Outcomes on their way into `mq_reply`: collected for a moment, written by one statement.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_postgres::error::SqlState;
use tpro_wire::{
    error::{RpcError, code},
    status::Status,
};

use super::outbox::{Outbox, OutboxError, is_shortage};
use crate::{
    db::plain,
    failpoint,
    settlement::Settlement,
    span::{Span, SpanKind},
    telemetry::Spans,
};

/// A batch is written when it has so many outcomes, or when the first of them is so old.
const BATCH: usize = 500;
const PATIENCE: Duration = Duration::from_millis(1);
/// The most outcomes of one statement: what collected while two batches were being written.
const LARGEST: usize = 2000;
/// The most bytes of one statement; a larger single outcome goes alone.
const LARGEST_BYTES: usize = 4 << 20;
/// Batches written at a time: the session runs them one after the other, and must not run dry between two.
const WRITERS: usize = 2;
/// The pause before a batch is tried again that the server had no room for.
const SHORTAGE_PAUSE: Duration = Duration::from_secs(1);

/// An outcome, and the bytes it counts for.
#[derive(Debug)]
pub(super) struct Settled {
    pub settlement: Settlement,
    pub bytes: usize,
}

/// What collects.
#[derive(Default)]
pub(super) struct Settler {
    queue: VecDeque<Settled>,
    oldest: Option<Instant>,
    writing: usize,
}

impl Settler {
    pub fn push(&mut self, settled: Settled, now: Instant) {
        self.oldest.get_or_insert(now);
        self.queue.push_back(settled);
    }

    /// A batch to write now, if it is time for one.
    pub fn batch(&mut self, now: Instant) -> Option<Vec<Settled>> {
        if self.writing >= WRITERS || self.due().is_none_or(|due| now < due) {
            return None;
        }
        let mut bytes = 0;
        let fits = |settled: &&Settled| {
            bytes += settled.bytes;
            bytes <= LARGEST_BYTES
        };
        let count = self.queue.iter().take(LARGEST).take_while(fits).count().max(1);
        let batch: Vec<_> = self.queue.drain(..count).collect();
        self.oldest = (!self.queue.is_empty()).then_some(now);
        self.writing += 1;
        Some(batch)
    }

    /// A batch was written.
    pub fn written(&mut self) {
        self.writing -= 1;
    }

    /// When to ask for a batch. While one is being written only a full one goes behind it: the session would not begin with
    /// it before, and what a statement costs by itself is shared by its rows.
    pub fn due(&self) -> Option<Instant> {
        let oldest = self.oldest?;
        match self.queue.len() >= BATCH {
            true => (self.writing < WRITERS).then_some(oldest),
            false => (self.writing == 0).then_some(oldest + PATIENCE),
        }
    }

    /// Nothing waits and nothing is being written.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.writing == 0
    }
}

/// Writes a batch. A value that PostgreSQL does not take settles its message as an error, and only that one: the batch is
/// halved until it is found. Any other failure is the session's.
pub(super) async fn write(
    outbox: Arc<Outbox>,
    spans: Spans,
    mut batch: Vec<Settled>,
) -> Result<Vec<Settled>, OutboxError> {
    let open = trace(&spans, &batch);
    // Halves that are still to be written, the next one last.
    let whole = 0..batch.len();
    let mut ranges = Vec::from([whole]);
    let mut refused = None;
    failpoint::pass("dispatcher.before_settle");
    while let Some(range) = ranges.pop() {
        match outbox.settle(&batch[range.clone()]).await {
            Ok(_) => outbox.set_short(false),
            Err(error) if is_bad_value(error.code()) && range.len() > 1 => {
                let middle = range.start + range.len() / 2;
                ranges.extend([middle..range.end, range.start..middle]);
            }
            Err(error) if is_bad_value(error.code()) && refused != Some(range.start) => {
                refuse(&mut batch[range.start].settlement, &error);
                // Once: what takes its place is ours, and a fault in it must not go round for ever.
                refused = Some(range.start);
                ranges.push(range);
            }
            Err(error) if is_shortage(&error) => {
                // A full disk: keep what there is, and send nothing more.
                outbox.set_short(true);
                tracing::warn!(
                    replies = range.len(),
                    "replies cannot be written: {}; trying again",
                    plain(&error)
                );
                tokio::time::sleep(SHORTAGE_PAUSE).await;
                ranges.push(range);
            }
            Err(source) => return Err(OutboxError::Run { name: "reply.settle", source }),
        }
    }
    failpoint::pass("dispatcher.settled");
    drop(open);
    Ok(batch)
}

/// What PostgreSQL says of a value and not of itself: data exceptions (22), and limits of what it takes (54), which
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

/// The spans of a batch: one of its own, and `settle` in each sampled trace, linked to it.
fn trace(spans: &Spans, batch: &[Settled]) -> Vec<Span> {
    let mut sampled = batch.iter().filter(|settled| settled.settlement.traceparent.sampled()).peekable();
    if sampled.peek().is_none() {
        return Vec::new();
    }
    let mut whole = spans.start("reply.settle", SpanKind::Client, None);
    whole.set("db.system.name", "postgresql");
    whole.set("db.operation.batch.size", batch.len() as i64);
    let context = whole.context();
    let mut open: Vec<Span> = sampled
        .map(|settled| {
            let mut span = spans.start("settle", SpanKind::Internal, Some(&settled.settlement.traceparent));
            span.set("tpro.status", settled.settlement.status.as_str());
            span.link(context);
            span
        })
        .collect();
    open.push(whole);
    open
}

#[cfg(test)]
mod tests {
    use tpro_wire::{target::Target, trace::TraceParent, uid::Uid};

    use super::*;

    fn settled(bytes: usize) -> Settled {
        let settlement = Settlement {
            id: 1,
            uid: Uid::v7(1, [1; 10]),
            target: Target::new("tpro", "co", "example", "x").expect("is a target"),
            status: Status::Ok,
            result: None,
            error: None,
            headers: None,
            attempts: 1,
            sent_at: None,
            responder: None,
            traceparent: TraceParent::root([1; 24], false),
        };
        Settled { settlement, bytes }
    }

    #[test]
    fn a_batch_waits_a_moment_for_company_unless_it_is_full() {
        let (mut settler, now) = (Settler::default(), Instant::now());
        settler.push(settled(1), now);
        assert!(settler.batch(now).is_none());
        assert_eq!(settler.due(), Some(now + PATIENCE));
        (1..BATCH).for_each(|_| settler.push(settled(1), now));
        assert_eq!(settler.batch(now).map(|batch| batch.len()), Some(BATCH));
        assert!(!settler.is_idle());
        settler.written();
        assert!(settler.is_idle());
    }

    #[test]
    fn two_batches_are_written_at_a_time_and_the_next_takes_what_collected() {
        let (mut settler, now) = (Settler::default(), Instant::now());
        (0..4 * BATCH).for_each(|_| settler.push(settled(4000), now));
        let bytes = settler.batch(now).expect("it is full").len();
        assert_eq!(bytes, LARGEST_BYTES / 4000);
        assert!(settler.batch(now + PATIENCE).is_some());
        assert!(settler.batch(now + PATIENCE).is_none());
        assert_eq!(settler.due(), None);
    }
}
