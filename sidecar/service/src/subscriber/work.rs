//! The state of one message that is served.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::time::Instant;
use tpro_runtime::{backoff::Backoff, nats::Message, telemetry::Span};
use tpro_wire::{Priority, TraceParent};

use super::{method_counts::MethodCounts, request::Back};
use crate::{
    handler::{Fault, batch, batch::Bodies, limits::Retry, outcome::Outcome, scope::Origin, way::Erased},
    inbox::{command::Accept, question::Question},
};

/// The longest pause between two retries of a method that says no longer one.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);

/// A message that is served.
pub(super) struct Work<'m> {
    pub(super) origin: Origin,
    pub(super) back: Back,
    pub(super) params: Bodies<'m>,
    /// The message that holds them.
    pub(super) message: &'m Message,
    /// Made when the inbox is asked: a stateless handler needs none.
    pub(super) question: OnceLock<Arc<Question>>,
    pub(super) span: Span,
    pub(super) received: Instant,
    pub(super) counts: &'m MethodCounts,
    /// True if its method ends it sooner than its budget.
    pub(super) is_limited: bool,
    /// The retries that its method has left for it.
    pub(super) retries: Option<Retries>,
}

/// The retries that are left for a message.
pub(super) struct Retries {
    left: u32,
    backoff: Backoff,
}

impl Retries {
    /// All of them.
    pub(super) fn of(retry: Retry) -> Self {
        let most = retry.back_off.max(LONGEST_BACK_OFF);
        Self { left: retry.most, backoff: Backoff::new(retry.back_off, most) }
    }
}

impl Work<'_> {
    /// True if the requester knows the meaning of "working".
    pub(super) fn knows_states(&self) -> bool {
        self.origin.headers.source.is_some() && self.back.subject().is_some()
    }

    /// Runs the handler for its body, or for each one of a batch. The answer has `most` bytes at
    /// most.
    pub(super) async fn handle<C>(
        &self,
        handler: &Erased<C, String>,
        context: impl Fn() -> C,
        most: usize,
    ) -> Result<String, Fault> {
        batch::handle(handler, context, &self.params, most.saturating_sub(self.back.form.room())).await
    }

    /// The pause before the next retry of its method; none if there are no more.
    pub(super) fn next_retry(&mut self) -> Option<Duration> {
        let retries = self.retries.as_mut()?;
        retries.left = retries.left.checked_sub(1)?;
        Some(retries.backoff.next_pause())
    }

    pub(super) fn priority(&self) -> Priority {
        self.origin.headers.priority
    }

    pub(super) fn context(&self) -> TraceParent {
        self.span.context()
    }

    /// The question of the message.
    pub(super) fn question(&self) -> &Arc<Question> {
        self.question.get_or_init(|| {
            let Origin { uid, target, headers, .. } = &self.origin;
            let (reply, payload) = (self.back.subject(), self.message.payload_bytes());
            Arc::new(Question::new(*uid, headers, target, reply, &payload, &self.params.text()))
        })
    }

    pub(super) fn accept(&self) -> Accept {
        let left = self.origin.deadline.saturating_duration_since(Instant::now());
        Accept {
            question: self.question().clone(),
            attempt: i32::try_from(self.origin.headers.attempt).unwrap_or(i32::MAX),
            budget_ms: i64::try_from(left.as_millis()).unwrap_or(i64::MAX),
            alone: false,
        }
    }

    /// This delivery is answered with a stored outcome.
    pub(super) fn is_repeat(&mut self, outcome: &Outcome) {
        self.span.set("tpro.repeat", true);
        mark(&mut self.span, outcome);
    }

    pub(super) fn observe(&self) {
        self.counts.observe(self.received.elapsed());
    }
}

/// Notes in the span how the message was answered.
pub(super) fn mark(span: &mut Span, outcome: &Outcome) {
    if let Outcome::Error(error) = outcome {
        span.set("rpc.jsonrpc.error_code", error.code);
        span.set("error.type", error.code.to_string());
        // The code only: the text is a handler's, and may hold anything.
        span.fail(format!("code {}", error.code));
    }
}
