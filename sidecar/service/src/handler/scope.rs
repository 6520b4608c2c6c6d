//! The state that a running handler shares with the framework that runs it.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use tokio::time::Instant;
use tpro_wire::{Priority, Source, Target, TraceParent, Uid};

use super::{Statements, calls::Calls, journal::Journal};
use crate::host::Host;

/// One run of a handler: the message that it is for, and the traces that it leaves behind.
pub(crate) struct Scope {
    pub(crate) app: Arc<Host>,
    pub(crate) calls: Arc<Calls>,
    pub(crate) uid: Uid,
    pub(crate) target: Target,
    pub(crate) attempt: u32,
    pub(crate) priority: Priority,
    pub(crate) hops: u32,
    pub(crate) source: Option<Source>,
    pub(crate) language: Option<String>,
    pub(crate) headers: Option<String>,
    pub(crate) tracestate: Option<String>,
    /// The SERVER span.
    pub(crate) span: TraceParent,
    pub(crate) deadline: Instant,
    /// Calls made so far.
    ordinal: AtomicU32,
    /// Calls that are over.
    journal: Mutex<Vec<Journal>>,
    /// The transaction, if the handler works in one.
    tx: Mutex<Option<Arc<Statements>>>,
}

/// The part of a message that enters its scope.
pub(crate) struct Origin {
    pub(crate) uid: Uid,
    pub(crate) target: Target,
    pub(crate) headers: tpro_wire::RequestHeaders,
    pub(crate) deadline: Instant,
}

impl Scope {
    pub(crate) fn new(app: Arc<Host>, calls: Arc<Calls>, origin: &Origin, span: TraceParent) -> Arc<Self> {
        let headers = &origin.headers;
        Arc::new(Self {
            app,
            calls,
            uid: origin.uid,
            target: origin.target.clone(),
            attempt: headers.attempt,
            priority: headers.priority,
            hops: headers.hops,
            source: headers.source.clone(),
            language: headers.language.clone(),
            headers: headers.headers.clone(),
            tracestate: headers.tracestate.clone(),
            span,
            deadline: origin.deadline,
            ordinal: AtomicU32::new(0),
            journal: Mutex::default(),
            tx: Mutex::default(),
        })
    }

    /// The number of the next call, from 0.
    pub(crate) fn next_ordinal(&self) -> u32 {
        self.ordinal.fetch_add(1, Ordering::Relaxed)
    }

    /// Keeps a call that is over.
    pub(crate) fn record(&self, call: Journal) {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }

    /// The calls that are over, to be written.
    pub(crate) fn take_journal(&self) -> Vec<Journal> {
        std::mem::take(&mut self.journal.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps the transaction for the framework to end.
    pub(crate) fn set_tx(&self, tx: Arc<Statements>) {
        *self.tx.lock().unwrap_or_else(PoisonError::into_inner) = Some(tx);
    }

    /// The transaction that an earlier request of the batch has opened.
    pub(crate) fn open_tx(&self) -> Option<Arc<Statements>> {
        self.tx.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The transaction, to be ended.
    pub(crate) fn take_tx(&self) -> Option<Arc<Statements>> {
        self.tx.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The language that the reply should speak: that of the header, or that of the row's headers.
    pub(crate) fn language(&self) -> Option<&str> {
        self.language.as_deref()
    }

    /// The headers of a call's own row: the language goes on, the rest is the caller's business.
    pub(crate) fn headers_for_calls(&self) -> String {
        // A language tag is letters, digits and dashes: nothing to escape.
        self.language()
            .map_or_else(|| "{}".to_owned(), |language| format!(r#"{{"content-language":"{language}"}}"#))
    }
}
