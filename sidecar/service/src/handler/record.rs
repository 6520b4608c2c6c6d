//! The record of a call that a handler makes.

use std::sync::Arc;

use serde_json::value::RawValue;
use tpro_runtime::telemetry::Span;
use tpro_wire::Status;

use super::{CallError, journal::Journal, scope::Scope};

/// The record of a call; handed to the scope when it is dropped, as cancelled unless it was
/// finished.
pub(super) struct Record {
    scope: Arc<Scope>,
    journal: Journal,
}

impl Record {
    /// A record of a call that has not ended: `journal` says that it was cancelled.
    pub(super) fn new(scope: Arc<Scope>, journal: Journal) -> Self {
        Self { scope, journal }
    }

    /// Counts an attempt, and returns its number.
    pub(super) fn next_attempt(&mut self) -> u32 {
        self.journal.attempts += 1;
        self.journal.sent_at.get_or_insert_with(|| self.scope.app.clock.now());
        self.journal.attempts.cast_unsigned()
    }

    /// The copy that has answered.
    pub(super) fn answered_by(&mut self, responder: Option<String>) {
        self.journal.responder = responder;
    }

    /// Sets the known facts on the span of the call.
    pub(super) fn describe(&self, span: &mut Span) {
        if let Some(responder) = &self.journal.responder {
            span.set("tpro.responder", responder.clone());
        }
        span.set("tpro.attempts", i64::from(self.journal.attempts));
    }

    /// The call has ended like this.
    pub(super) fn finish(mut self, result: &Result<Box<RawValue>, CallError>) {
        match result {
            Ok(result) => {
                self.journal.status = Status::Ok;
                self.journal.result = Some(result.get().to_owned());
                self.journal.error = None;
            }
            Err(error) => {
                self.journal.status = error.status();
                self.journal.error = Some(error.to_rpc().to_json());
            }
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.journal.replied_at = Some(self.scope.app.clock.now());
        // The long texts are moved; only short ones are cloned.
        let body = std::mem::take(&mut self.journal.body);
        let (result, error) = (self.journal.result.take(), self.journal.error.take());
        self.scope.record(Journal { body, result, error, ..self.journal.clone() });
    }
}
