//! Outcomes on their way into `mq_reply`: collected for a moment, written by one statement.

use std::{
    collections::{HashSet, VecDeque},
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_postgres::error::SqlState;
use tpro_runtime::{
    db::{is_refusal, is_shortage, plain},
    failpoint,
    settlement::Settlement,
    telemetry::{Span, SpanKind, Spans},
};
use tpro_wire::{
    error::{RpcError, code},
    status::Status,
};

use super::{
    outbox::{Outbox, OutboxError},
    settled::Settled,
    stuck::Hold,
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
/// The pause before an outcome is tried again whose row somebody else has in hand.
const HELD_PAUSE: Duration = Duration::from_secs(1);
/// The pause before outcomes are tried again that the server had no room for, or refused.
const STUCK_PAUSE: Duration = Duration::from_secs(1);

/// What collects.
#[derive(Default)]
pub(super) struct Settler {
    queue: VecDeque<Settled>,
    oldest: Option<Instant>,
    writing: usize,
    /// Outcomes whose rows others have in hand, and when each is tried again: alone, since it would fail all of a batch.
    held: VecDeque<(Instant, Settled)>,
    /// Whether one of them is being tried: one at a time, since it may keep the session waiting.
    retrying: bool,
    /// Whether the last batch was one of them: then what was collected has its turn.
    retried: bool,
}

/// Outcomes to be written by one statement.
pub(super) struct Batch {
    pub outcomes: Vec<Settled>,
    /// Whether it is one that was held before.
    pub retry: bool,
}

/// What became of a batch.
pub(super) struct Written {
    /// What is written.
    pub done: Vec<Settled>,
    /// What could not be, since another transaction is writing the reply of the same row, or something has swallowed it.
    pub held: Vec<Settled>,
    /// Which of these were swallowed: the INSERT succeeded, and the reply is not there.
    pub swallowed: Vec<i64>,
    /// Whether it was a try of one that was held before.
    pub retry: bool,
}

impl Settler {
    pub fn push(&mut self, settled: Settled, now: Instant) {
        self.oldest.get_or_insert(now);
        self.queue.push_back(settled);
    }

    /// A batch to write now, if it is time for one.
    pub fn batch(&mut self, now: Instant) -> Option<Batch> {
        if self.writing >= WRITERS {
            return None;
        }
        let collected = self.collected().is_some_and(|due| now >= due);
        let again = self.again().is_some_and(|again| now >= again);
        if again && !(collected && self.retried) {
            (self.retrying, self.retried) = (true, true);
            self.writing += 1;
            let outcomes = self.held.pop_front().map(|(_, settled)| settled).into_iter().collect();
            return Some(Batch { outcomes, retry: true });
        }
        if !collected {
            return None;
        }
        self.retried = false;
        let mut bytes = 0;
        let fits = |settled: &&Settled| {
            bytes += settled.bytes;
            bytes <= LARGEST_BYTES
        };
        let count = self.queue.iter().take(LARGEST).take_while(fits).count().max(1);
        let outcomes: Vec<_> = self.queue.drain(..count).collect();
        self.oldest = (!self.queue.is_empty()).then_some(now);
        self.writing += 1;
        Some(Batch { outcomes, retry: false })
    }

    /// A batch was written, but for what is held.
    pub fn written(&mut self, held: Vec<Settled>, retry: bool, now: Instant) {
        self.writing -= 1;
        if retry {
            self.retrying = false;
        }
        self.held.extend(held.into_iter().map(|settled| (now + HELD_PAUSE, settled)));
    }

    /// When to ask for a batch.
    pub fn due(&self) -> Option<Instant> {
        self.again().into_iter().chain(self.collected()).min()
    }

    /// When the next that is held is tried again.
    fn again(&self) -> Option<Instant> {
        let free = !self.retrying && self.writing < WRITERS;
        self.held.front().map(|(again, _)| *again).filter(|_| free)
    }

    /// When what was collected is a batch. While one is being written only a full one goes behind it: the session would not
    /// begin with it before, and what a statement costs by itself is shared by its rows.
    fn collected(&self) -> Option<Instant> {
        let oldest = self.oldest?;
        match self.queue.len() >= BATCH {
            true => (self.writing < WRITERS).then_some(oldest),
            false => (self.writing == 0).then_some(oldest + PATIENCE),
        }
    }

    /// Nothing waits and nothing is being written.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.held.is_empty() && self.writing == 0
    }
}

/// Writes a batch. A value that PostgreSQL does not take settles its message as an error, and only that one: the batch is
/// halved until it is found. So is one whose row another transaction has in hand, which is kept for later, as is one that a trigger
/// has swallowed: others may pass it. What the server has no room for, or refuses, is tried again until it is written; nothing more is sent meanwhile. Any other failure is the session's.
pub(super) async fn write(outbox: Arc<Outbox>, spans: Spans, batch: Batch) -> Result<Written, OutboxError> {
    let Batch { outcomes: mut batch, retry } = batch;
    let open = trace(&spans, &batch);
    // Halves that are still to be written, the next one last.
    let whole = 0..batch.len();
    let mut ranges = Vec::from([whole]);
    let mut refused = None;
    let mut held = Vec::new();
    let mut swallowed = Vec::new();
    // What cannot be written for now, and why.
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
                    // What is gone with its partition, or settled by others, has nothing to be written for.
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

/// Whether another transaction has the row's reply in hand: the handler of a leader before us, or an operator who cancels.
fn is_held(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE)
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
    use tpro_wire::target::Target;

    use super::*;
    use crate::settled::settled_of;

    fn settled(bytes: usize) -> Settled {
        settled_of(Target::new("tpro", "co", "example", "x").expect("is a target"), bytes)
    }

    #[test]
    fn a_batch_waits_a_moment_for_company_unless_it_is_full() {
        let (mut settler, now) = (Settler::default(), Instant::now());
        settler.push(settled(1), now);
        assert!(settler.batch(now).is_none());
        assert_eq!(settler.due(), Some(now + PATIENCE));
        (1..BATCH).for_each(|_| settler.push(settled(1), now));
        assert_eq!(settler.batch(now).map(|batch| batch.outcomes.len()), Some(BATCH));
        assert!(!settler.is_idle());
        settler.written(Vec::new(), false, now);
        assert!(settler.is_idle());
    }

    #[test]
    fn what_is_held_by_others_is_tried_alone_after_a_pause_and_holds_up_nobody() {
        let (mut settler, now) = (Settler::default(), Instant::now());
        (0..BATCH).for_each(|_| settler.push(settled(1), now));
        let batch = settler.batch(now).expect("it is full");
        settler.written(batch.outcomes.into_iter().take(2).collect(), false, now);
        assert!(!settler.is_idle());
        assert_eq!(settler.due(), Some(now + HELD_PAUSE));
        let later = now + HELD_PAUSE;
        (0..2 * BATCH).for_each(|_| settler.push(settled(1), later));
        // By turns, and one of the held at a time.
        let first = settler.batch(later).expect("one that was held is due");
        assert!(first.retry && first.outcomes.len() == 1);
        let second = settler.batch(later).expect("what was collected has its turn");
        assert!(!second.retry && second.outcomes.len() > 1);
        settler.written(Vec::new(), second.retry, later);
        assert!(settler.batch(later).is_none_or(|batch| !batch.retry), "the first is still being tried");
    }

    #[test]
    fn two_batches_are_written_at_a_time_and_the_next_takes_what_collected() {
        let (mut settler, now) = (Settler::default(), Instant::now());
        (0..4 * BATCH).for_each(|_| settler.push(settled(4000), now));
        let bytes = settler.batch(now).expect("it is full").outcomes.len();
        assert_eq!(bytes, LARGEST_BYTES / 4000);
        assert!(settler.batch(now + PATIENCE).is_some());
        assert!(settler.batch(now + PATIENCE).is_none());
        assert_eq!(settler.due(), None);
    }
}
