//! The state that all messages of a copy share.

use std::{collections::HashMap, sync::Arc, task::Poll, time::Duration};

use futures_util::poll;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tpro_runtime::{db::DATABASE, metrics::Reason, version};
use tpro_wire::{ReplyState, Versions, error::code};

use super::{
    answer::ReplyHeaders,
    at_once::AtOnce,
    later::Later,
    method_counts::MethodCounts,
    request::{Back, MISMATCH},
    sql_methods::SqlMethods,
    work::{Work, mark},
};
use crate::{
    handler::{Fault, Handlers, calls::Calls, cause::describe, outcome::Outcome, scope::Scope},
    host::Host,
    inbox::{
        Inbox,
        flight::{Boarded, Boarding, Flight},
        own::Own,
        run_limit::RunLimit,
        verdict::Refusal,
    },
    peers::Peers,
};

/// The longest wait of a suspect for another one: it keeps a handler's place meanwhile.
const SUSPECT_PATIENCE: Duration = Duration::from_secs(1);

/// The state that all messages of a copy share.
pub(super) struct Serving {
    pub(super) app: Arc<Host>,
    /// The handlers.
    pub(super) service: Arc<Handlers>,
    pub(super) calls: Arc<Calls>,
    pub(super) inbox: Inbox,
    pub(super) peers: Arc<Peers>,
    pub(super) own: Own,
    pub(super) flight: Arc<Flight<Back>>,
    pub(super) headers: Arc<ReplyHeaders>,
    /// The versions of requests that are understood.
    pub(super) versions: Versions,
    /// For the one suspect that may run.
    suspects: Arc<Semaphore>,
    /// Cancelled when handlers at work are to be stopped.
    pub(super) stop: CancellationToken,
    /// The pause before it is said again that a message is at work: twice within the patience of a
    /// requester with our settings.
    say_so_after: Duration,
    counts: HashMap<String, MethodCounts>,
    /// The methods in SQL.
    pub(super) sql: SqlMethods,
    /// True if a method has a limit of handlers at once.
    has_places: bool,
}

impl Serving {
    pub(super) fn new(
        app: Arc<Host>,
        service: Arc<Handlers>,
        calls: Arc<Calls>,
        inbox: Inbox,
        peers: Arc<Peers>,
        stop: CancellationToken,
    ) -> Self {
        let methods = service.methods().into_iter();
        let counts = methods
            .map(|(name, _)| (name.to_owned(), MethodCounts::new(&app.counts, name, service.limits(name))));
        let counts: HashMap<_, MethodCounts> = counts.collect();
        Self {
            has_places: counts.values().any(|counts| counts.at_once.is_some()),
            counts,
            own: Own::new(&app),
            sql: SqlMethods::new(app.clone()),
            flight: Arc::default(),
            suspects: Arc::new(Semaphore::new(1)),
            headers: Arc::new(ReplyHeaders::new(&app)),
            versions: version::understood(),
            stop,
            say_so_after: app.config.dispatch.attempt_timeout * 2 / 5,
            app,
            service,
            calls,
            inbox,
            peers,
        }
    }

    /// The limit of a message's runs.
    pub(super) fn run_limit(&self) -> RunLimit {
        RunLimit::new(self.app.config.limits.runs)
    }

    pub(super) fn counts(&self, method: &str) -> Option<&MethodCounts> {
        self.counts.get(method)
    }

    /// The places of the method that a subject names, if it has a limit of them.
    pub(super) fn places(&self, subject: &str) -> Option<&AtOnce> {
        if !self.has_places {
            return None;
        }
        self.counts(subject.splitn(3, '.').nth(2)?)?.at_once.as_ref()
    }

    pub(super) fn count_not_run(&self, reason: &'static str) {
        self.app.counts.not_run.get_or_create(&Reason { reason }).inc();
    }

    /// The scope of a run.
    pub(super) fn scope(&self, work: &Work<'_>) -> Arc<Scope> {
        Scope::new(self.app.clone(), self.calls.clone(), &work.origin, work.context())
    }

    /// Begins the work on a message. None: it is answered, or will be with the message that it has
    /// joined.
    pub(super) async fn board<'m>(&self, work: Work<'m>) -> Option<(Work<'m>, Boarded<Back>)> {
        match self.flight.board(work.question(), || work.back.alone()) {
            Boarding::Begun(boarded) => return Some((work, boarded)),
            Boarding::Joined => {
                self.count_not_run("joined");
                work.span.discard();
            }
            Boarding::Refused(refusal) => self.refuse(refusal, work, &[]).await,
        }
        None
    }

    /// Tells all who wait why no handler runs.
    pub(super) async fn refuse(&self, refusal: Refusal, mut work: Work<'_>, joined: &[Back]) {
        let (reason, state) = match refusal {
            Refusal::Mismatch => {
                self.count_not_run("mismatch");
                let outcome = Outcome::error(code::INVALID_REQUEST, MISMATCH);
                // Its span is no run of the handler.
                work.is_repeat(&outcome);
                return self.answer_all(&work.back, joined, &outcome).await;
            }
            Refusal::Working => ("working", ReplyState::Working),
            // The message comes again: a suspect when another has ended, or the first that was
            // asked after all.
            Refusal::Suspect | Refusal::Unsure => ("overloaded", ReplyState::Overloaded),
        };
        self.count_not_run(reason);
        work.span.discard();
        self.state_all(&work.back, joined, state).await;
    }

    /// The outcome of a message whose handler began `runs` times.
    pub(super) fn exhausted(&self, work: &mut Work<'_>, runs: i32) -> Outcome {
        self.count_not_run("exhausted");
        work.span.set("tpro.runs", i64::from(runs));
        let text = format!("the service began {runs} times with this message and finished none");
        let outcome = Outcome::error(code::INTERNAL, text);
        mark(&mut work.span, &outcome);
        outcome
    }

    /// Waits a moment until no other suspect runs. Without the permit the message is to come again
    /// later.
    pub(super) async fn alone(&self, deadline: Instant) -> Option<OwnedSemaphorePermit> {
        let until = deadline.min(Instant::now() + SUSPECT_PATIENCE);
        timeout_at(until, self.suspects.clone().acquire_owned()).await.ok()?.ok()
    }

    /// Does the work of a message. It tells those who wait that the message is at work, before
    /// their patience ends and they send it again. Only requesters that know this state are told: a
    /// stranger would take it for the answer. A copy that has lost its database says nothing, so
    /// that another copy is asked.
    pub(super) async fn saying_so<T>(
        &self,
        knows: bool,
        first: &Back,
        boarded: Option<&Boarded<Back>>,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = std::pin::pin!(work);
        // Polled once first: work that is done at once costs no timer.
        if let Poll::Ready(done) = poll!(&mut work) {
            return done;
        }
        if !knows {
            return work.await;
        }
        loop {
            if let Ok(done) = timeout(self.say_so_after, &mut work).await {
                return done;
            }
            // The work is not kept waiting by a server that takes no more.
            if !self.app.health.is_failing(DATABASE) && self.app.nats.has_room() {
                let joined = boarded.map(Boarded::joined).unwrap_or_default();
                self.state_all(first, &joined, ReplyState::Working).await;
            }
        }
    }

    /// Answers all who wait for it.
    pub(super) async fn answer_all(&self, first: &Back, joined: &[Back], outcome: &Outcome) {
        self.headers.answer(&self.app, first, outcome).await;
        for back in joined {
            self.headers.answer(&self.app, back, outcome).await;
        }
    }

    /// Sends a state to all who wait.
    pub(super) async fn state_all(&self, first: &Back, joined: &[Back], state: ReplyState) {
        self.headers.state(&self.app, first, state).await;
        for back in joined {
            self.headers.state(&self.app, back, state).await;
        }
    }

    /// Tells all who wait that the handler wants to be asked again later.
    pub(super) async fn later_all(&self, work: &Work<'_>, joined: &[Back], later: &Later) {
        for back in std::iter::once(&work.back).chain(joined) {
            self.headers.later(&self.app, back, later, work.knows_states()).await;
        }
    }

    /// The outcome to answer with. An error that is not for the caller is logged here.
    pub(super) fn outcome(&self, work: &mut Work<'_>, result: Result<String, Fault>) -> Outcome {
        match &result {
            Ok(_) => {
                work.counts.ok.inc();
            }
            Err(fault) => match fault.cause() {
                Some(cause) => {
                    work.counts.internal.inc();
                    tracing::error!(
                        message.id = %work.origin.uid,
                        trace.id = %work.span.context().trace_id_hex(),
                        tpro.target = %work.origin.target,
                        "the handler failed{}: {}",
                        fault.place().map_or_else(String::new, |place| format!(" at {place}")),
                        describe(cause)
                    );
                }
                None => {
                    work.counts.error.inc();
                }
            },
        }
        let outcome = Outcome::of(result, self.app.reply_max());
        mark(&mut work.span, &outcome);
        outcome
    }

    /// The handler's time was over. Nothing is stored, since a later delivery with more time may do
    /// it. `met` says that a passing error of the database was met.
    pub(super) fn late(&self, work: &mut Work<'_>, met: bool) -> Outcome {
        work.counts.late.inc();
        let text = match (met, work.is_limited) {
            (true, _) => "the service's database did not let the handler finish before its time was over",
            (false, true) => "the handler was stopped: the time limit of its method was over",
            (false, false) => "the handler was stopped: its time was over",
        };
        let outcome = Outcome::error(code::TIMEOUT, text);
        mark(&mut work.span, &outcome);
        outcome
    }

    /// The handler was stopped with the process; another copy does it.
    pub(super) fn stopped(&self, work: &mut Work<'_>) {
        work.counts.stopped.inc();
        work.span.set("tpro.stopped", true);
        work.span.fail("stopped with the process");
    }
}
