//! One call of another service: attempts inside the budget, a CLIENT span, and the record of it.

mod belt;
mod ears;

use std::{sync::Arc, time::Duration};

use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};
use tpro_runtime::{
    backoff::{Backoff, LAST_TRY},
    metrics::Reason,
    nats::{self, Block, Publication, PublishError},
    presence::Presence,
    telemetry::{Span, SpanKind},
    version,
};
use tpro_wire::{
    Budget, Refusal, RequestHeaders, RpcError, Status, Target, Uid, envelope, error::code, limits, refusal,
};

use super::{CallError, journal::Journal, record::Record, scope::Scope};
use crate::stage::Stage;
use belt::Closed;
use ears::{Ears, Heard};

/// The share of the handler's own remaining time that a call gets, so that the handler can still
/// answer when the call does not end.
const SHARE: f64 = 0.95;

/// Pauses between attempts that found nobody.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A call before it is sent.
pub(crate) struct Call {
    scope: Arc<Scope>,
    target: Target,
    uid: Uid,
    body: Box<RawValue>,
    deadline: Instant,
    budget: Duration,
}

impl Call {
    /// Checks all that can be checked before anything is sent.
    pub(crate) fn new(
        scope: Arc<Scope>,
        target: Target,
        ordinal: u32,
        body: Box<RawValue>,
    ) -> Result<Self, CallError> {
        let size = body.get().len();
        if size > limits::MAX_BODY {
            return Err(CallError::TooLarge { size, limit: limits::MAX_BODY });
        }
        let hops = scope.hops.saturating_add(1);
        if hops > scope.app.config.limits.hops {
            return Err(CallError::Hops(hops));
        }
        let uid = scope.uid.child(&target, ordinal);
        let now = Instant::now();
        let budget = scope.deadline.saturating_duration_since(now).mul_f64(SHARE);
        Ok(Self { scope, target, uid, body, deadline: now + budget, budget })
    }

    /// Calls, and puts the end of the call on record, also when the handler is stopped meanwhile.
    pub(crate) async fn run(self) -> Result<Box<RawValue>, CallError> {
        if let Some(stage) = &self.scope.app.stage {
            return self.on_stage(stage);
        }
        let mut span = self.span();
        let mut record = Record::new(self.scope.clone(), self.journal(&span));
        let result = self.attempts(&mut span, &mut record).await;
        let app = &self.scope.app;
        let status = result.as_ref().map_or_else(CallError::status, |_| Status::Ok);
        app.counts.calls.get_or_create(&Reason { reason: status.as_str() }).inc();
        if let Err(error) = &result {
            let error = error.to_rpc();
            span.set("rpc.jsonrpc.error_code", error.code);
            span.set("error.type", status.as_str());
            span.fail(format!("{status}, code {}", error.code));
        }
        record.describe(&mut span);
        record.finish(&result);
        result
    }

    /// The answer that a test gives.
    fn on_stage(&self, stage: &Stage) -> Result<Box<RawValue>, CallError> {
        let result = stage.answer(&self.target, self.body.get()).map_err(|error| match error.code {
            code::UNAVAILABLE => CallError::Unavailable(error),
            code::TIMEOUT => CallError::Timeout(self.budget.as_millis()),
            _ => CallError::Answered(error),
        })?;
        RawValue::from_string(result).map_err(CallError::Misfit)
    }

    fn span(&self) -> Span {
        let spans = &self.scope.app.spans;
        let target = &self.target;
        let mut span =
            spans.start(target.service_method().to_owned(), SpanKind::Client, Some(&self.scope.span));
        if !span.is_recording() {
            return span;
        }
        span.set("messaging.system", "nats");
        span.set("messaging.operation.name", "request");
        span.set("messaging.destination.name", target.subject().to_owned());
        span.set("messaging.message.id", self.uid.to_string());
        span.set("rpc.system", "jsonrpc");
        span.set("rpc.service", target.service().to_owned());
        span.set("rpc.method", target.method().to_owned());
        span.set("tpro.budget_ms", self.budget.as_millis() as i64);
        span
    }

    /// The record of a call that has not ended when the handler is stopped.
    fn journal(&self, span: &Span) -> Journal {
        let seconds = self.budget.as_secs_f64().ceil() as i32;
        Journal {
            uid: self.uid,
            target: self.target.clone(),
            timeout: seconds.clamp(1, limits::MAX_TIMEOUT),
            headers: self.scope.headers_for_calls(),
            body: self.body.get().to_owned(),
            created_at: self.scope.app.clock.now(),
            traceparent: span.context(),
            parent: self.scope.span.span_id,
            status: Status::Cancelled,
            result: None,
            error: Some(RpcError::new(code::CANCELLED, "the handler was stopped").to_json()),
            attempts: 0,
            sent_at: None,
            replied_at: None,
            responder: None,
        }
    }

    async fn attempts(&self, span: &mut Span, record: &mut Record) -> Result<Box<RawValue>, CallError> {
        let app = &self.scope.app;
        let payload = envelope::request(&self.uid, self.target.method(), self.body.get());
        let mut ears = Ears {
            waiting: self.scope.calls.wait(self.uid, self.target.service()),
            again: app.link.again.listen(),
            forbidden: app.link.said.forbidden(),
            connection: 0,
        };
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut reached = Reached::Unknown;
        // The error of a handler that has put the call off, while no later attempt may have run.
        let mut put_off: Option<RpcError> = None;
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || (matches!(reached, Reached::Nobody(_)) && left < LAST_TRY) {
                return Err(put_off.map_or_else(|| self.nobody_or_late(reached), CallError::Answered));
            }
            // A message that is sent while disconnected leaves when the connection is back, perhaps
            // when nobody waits any more.
            if !app.is_connected() {
                self.pause(&mut backoff).await;
                continue;
            }
            match self.open_belt().await {
                Ok(()) => {}
                Err(Closed::End(error)) => return Err(error),
                Err(Closed::Lost) => {
                    self.pause(&mut backoff).await;
                    continue;
                }
            }
            let attempt = record.next_attempt();
            let subject = ears.waiting.subject(attempt);
            ears.connection = app.nats.connection();
            let (reply, headers) = (Some(subject.as_str()), Block::of(self.headers(attempt, span).pairs()));
            let (subject, headers) = (self.target.subject(), Some(&headers));
            let sent = app.nats.publish(Publication { subject, reply, headers, payload: &payload });
            // The client's queue may be full: waiting for it is part of the budget.
            match timeout_at(self.deadline, sent).await {
                Ok(Ok(())) => {}
                Ok(Err(PublishError::TooLarge { .. })) => {
                    let limit = app.nats.max_payload().saturating_sub(nats::ENVELOPE);
                    return Err(CallError::TooLarge { size: payload.len(), limit });
                }
                Ok(Err(_)) => {
                    self.pause(&mut backoff).await;
                    continue;
                }
                Err(_) => {
                    return Err(put_off.map_or_else(|| self.nobody_or_late(reached), CallError::Answered));
                }
            }
            match self.listen(&mut ears, attempt).await {
                Heard::End(result, responder) => {
                    record.answered_by(responder);
                    return result;
                }
                Heard::PutOff(error) => {
                    put_off = Some(error);
                    span.event("later", vec![("tpro.attempt", i64::from(attempt).into())]);
                }
                Heard::Silence => {
                    (reached, put_off) = (Reached::Somebody, None);
                    span.event("silence", vec![("tpro.attempt", i64::from(attempt).into())]);
                }
                Heard::Lost => {
                    (reached, put_off) = (Reached::Somebody, None);
                    span.event("lost", vec![("tpro.attempt", i64::from(attempt).into())]);
                }
                Heard::Nobody(refusal) => {
                    if reached != Reached::Somebody {
                        reached = Reached::Nobody(refusal);
                    }
                    span.event(refusal.as_str(), vec![("tpro.attempt", i64::from(attempt).into())]);
                    self.pause(&mut backoff).await;
                }
            }
        }
    }

    fn nobody_or_late(&self, reached: Reached) -> CallError {
        let begun = self.deadline.checked_sub(self.budget).map(Instant::into_std);
        let connection = self.scope.app.nats.connection();
        let now = Instant::now().into_std();
        let absent =
            |service: &mut Presence| begun.is_some_and(|begun| service.is_absent(begun, now, connection));
        let seconds = self.budget.as_secs();
        match reached {
            Reached::Nobody(refusal) => {
                CallError::Unavailable(refusal.to_error(&self.target, seconds, version::spoken()))
            }
            // Somebody has taken it, who is not the service.
            Reached::Somebody if self.scope.calls.presence(&self.target, absent) => {
                CallError::Unavailable(refusal::unheard(&self.target, seconds))
            }
            _ => CallError::Timeout(self.budget.as_millis()),
        }
    }

    async fn pause(&self, backoff: &mut Backoff) {
        tokio::time::sleep_until(self.deadline.min(Instant::now() + backoff.next_pause())).await;
    }

    fn headers(&self, attempt: u32, span: &Span) -> RequestHeaders {
        let scope = &self.scope;
        RequestHeaders {
            traceparent: Some(span.context()),
            tracestate: scope.tracestate.clone(),
            uid: Some(self.uid),
            budget_ms: Some(
                Budget::from_duration(self.deadline.saturating_duration_since(Instant::now())).ms().max(1),
            ),
            attempt,
            version: version::spoken(),
            source: Some(scope.app.source.clone()),
            key: Some(scope.app.keys.of_message(&self.uid)),
            // Somebody waits for the whole chain.
            priority: scope.priority,
            hops: scope.hops.saturating_add(1),
            language: scope.language().map(str::to_owned),
            headers: Some(scope.headers_for_calls()),
            ..RequestHeaders::default()
        }
    }
}

/// The reach of the attempts so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// There was no attempt.
    Unknown,
    /// Each was refused, the last one for this reason.
    Nobody(Refusal),
    /// One was not refused: somebody may have it.
    Somebody,
}
