//! One message, from the subject to the answer.

use std::{borrow::Cow, sync::OnceLock, time::Duration};

use tokio::time::{Instant, timeout_at};
use tpro_runtime::{
    nats::Message,
    random, spelling,
    telemetry::{Span, SpanKind},
    watch::ask_time,
};
use tpro_wire::{ReplyState, RequestHeaders, RpcError, Target, Uid, Version, error::code};

use super::{
    batched,
    method_counts::MethodCounts,
    request::{self, Back, Form, Methods},
    serving::Serving,
    sql_methods::{SqlMethod, Unread},
    stateless, transactional,
    work::{Retries, Work, mark},
};
use crate::handler::{outcome::Outcome, scope::Origin, way::Way};
use crate::{
    host::Host,
    inbox::verdict,
    peers::{self, Found},
};

/// The budget of a message that does not name one: of strangers, and of events.
const UNSAID_BUDGET: Duration = Duration::from_secs(30);
/// The budget of a message that is passed on at its end. No budget would make it an event.
const LEAST: Duration = Duration::from_millis(1);
/// A younger answer of the database is not asked for again.
const JUST_NOW: Duration = Duration::from_secs(1);

/// Serves a message.
///
/// A stranger's message without a uid has nothing to tell a repeat by. For a handler of the default
/// way it is served as by a stateless one, for a transactional one it gets a uid of its own. Its
/// uid in the handler's context is new each time.
pub(super) async fn serve(serving: &Serving, message: Message) {
    let received = Instant::now();
    let headers = RequestHeaders::read(message.headers());
    if !serving.versions.contain(headers.version) {
        return refuse_version(serving, &message, headers.version).await;
    }
    let target = Target::parse(message.subject()).ok();
    let app = &serving.app;
    let service = app.source.service.as_str();
    let budget = headers.budget_ms.filter(|ms| *ms > 0).map(Duration::from_millis);
    let deadline = received + budget.unwrap_or(UNSAID_BUDGET);
    // Boxed for the sake of the stateless way, as below.
    let sql = match target.as_ref().map(Target::method) {
        Some(method) if serving.service.method(method).is_none() => {
            Box::pin(serving.sql.find(method, deadline)).await
        }
        _ => Ok(None),
    };
    let all = All { serving, sql: sql.as_ref().ok().and_then(Option::as_deref) };
    let (back, asked) = request::read(&message, target.as_ref(), &headers, service, &all);
    let uid = headers.uid.unwrap_or_else(|| Uid::v7(app.clock.unix_ms(), random::bytes()));
    let mut span = span(serving, &message, target.as_ref(), &headers, uid);
    let (reason, error) = match asked {
        Ok(_) if headers.hops > app.config.limits.hops => {
            let text = format!("the chain of calls is too long: {} services at most", app.config.limits.hops);
            ("hops", RpcError::new(code::HOPS, text))
        }
        Ok(asked) => {
            // A method that is known has a target, counters and a handler.
            let (Some(target), Some((counts, handler))) = (target.clone(), all.served(asked.method)) else {
                return span.discard();
            };
            if let Some(uid) = headers.uid
                && is_stale(app, uid).await
            {
                serving.count_not_run("stale");
                span.discard();
                return serving.headers.state(app, &back, ReplyState::Stale).await;
            }
            let budget = budget.unwrap_or(UNSAID_BUDGET);
            let has_uid = headers.uid.is_some();
            let limits = &counts.limits;
            let time = limits.time.map_or(budget, |longest| longest.min(budget));
            let origin = Origin { uid, target, headers, deadline: received + time };
            let work = Work {
                origin,
                back,
                params: asked.params,
                message: &message,
                question: OnceLock::new(),
                span,
                received,
                counts,
                is_limited: time < budget,
                retries: limits.retry.map(Retries::of),
            };
            return match handler {
                Way::Stateless(handler) => stateless::serve(serving, work, handler).await,
                // Boxed: the memory of every task is that of the longest way, and the stateless way
                // must be fast.
                Way::Default(handler) if has_uid => Box::pin(batched::serve(serving, work, handler)).await,
                Way::Default(handler) => stateless::serve(serving, work, handler).await,
                Way::Transactional(handler) => Box::pin(transactional::serve(serving, work, handler)).await,
            };
        }
        Err(error) if error.code == code::METHOD_NOT_FOUND && peers::passed(&message).is_none() => {
            // Boxed for the sake of the stateless way, as above.
            let found = match sql {
                Ok(_) => Box::pin(elsewhere(serving, target.as_ref(), deadline)).await,
                // There may be a handler in SQL, or at another copy that can read the table.
                Err(Unread) => Found::Later,
            };
            match found {
                Found::Nobody => return refuse(serving, &back, &mut span, "unknown", error).await,
                Found::Later => {
                    serving.count_not_run("overloaded");
                    span.discard();
                    return serving.headers.state(app, &back, ReplyState::Overloaded).await;
                }
                Found::Copy(copy) => {
                    span.discard();
                    let left = deadline.saturating_duration_since(Instant::now()).max(LEAST);
                    return Box::pin(pass(serving, &message, &copy, budget.map(|_| left))).await;
                }
            }
        }
        Err(error) => (if error.code == code::METHOD_NOT_FOUND { "unknown" } else { "malformed" }, error),
    };
    refuse(serving, &back, &mut span, reason, error).await;
}

/// The methods of the program, and the one in SQL that a message asks for.
struct All<'a> {
    serving: &'a Serving,
    sql: Option<&'a SqlMethod>,
}

impl All<'_> {
    /// The counters and the handler of a method.
    fn served(&self, method: &str) -> Option<(&MethodCounts, &Way)> {
        match self.sql {
            Some(sql) => Some((&sql.counts, &sql.way)),
            None => self.serving.counts(method).zip(self.serving.service.method(method)),
        }
    }
}

impl Methods for All<'_> {
    fn knows(&self, method: &str) -> bool {
        self.sql.is_some_and(|sql| sql.name == method) || self.serving.service.method(method).is_some()
    }

    fn nearest(&self, method: &str) -> Option<String> {
        let (service, sql) = (&self.serving.service, self.serving.sql.known());
        let names = service.methods().into_iter().map(|(name, _)| name);
        spelling::nearest(names.chain(sql.keys().map(String::as_str)), method).map(str::to_owned)
    }
}

/// Refuses a message of a version that is not understood, by its headers alone. An event is lost by
/// it, since nobody sends it again.
async fn refuse_version(serving: &Serving, message: &Message, version: Version) {
    serving.count_not_run("unsupported");
    if message.reply().is_none() {
        tracing::warn!(
            tpro.target = message.subject(),
            "an event is dropped: it speaks version {version} of the wire, {} is understood",
            serving.versions
        );
    }
    let back = Back::to(message, Form::Json);
    serving.headers.state(&serving.app, &back, ReplyState::Unsupported).await;
}

/// Looks for another copy that has the method of the subject. The envelope may name another method,
/// which no copy would take.
async fn elsewhere(serving: &Serving, target: Option<&Target>, deadline: Instant) -> Found {
    let Some(method) = target.map(Target::method).filter(|method| serving.service.method(method).is_none())
    else {
        return Found::Nobody;
    };
    let found = serving.stop.run_until_cancelled(timeout_at(deadline, serving.peers.find(method)));
    match found.await {
        Some(Ok(found)) => found,
        // The process stops, or the time of the message is over.
        Some(Err(_)) | None => Found::Later,
    }
}

/// Passes a message on to a copy that has its method. If NATS does not take it, the requester sends
/// it again.
async fn pass(serving: &Serving, message: &Message, copy: &str, left: Option<Duration>) {
    serving.count_not_run("passed");
    if let Err(error) = serving.peers.pass(copy, message, left).await {
        tracing::warn!("a message could not be passed on to a copy that has its method: {error}");
    }
}

/// Answers a message for which no handler runs.
async fn refuse(serving: &Serving, back: &Back, span: &mut Span, reason: &'static str, error: RpcError) {
    serving.count_not_run(reason);
    let outcome = Outcome::Error(error);
    mark(span, &outcome);
    serving.headers.answer(&serving.app, back, &outcome).await;
}

/// The SERVER span, which has no attributes where it is not recorded.
fn span(
    serving: &Serving,
    message: &Message,
    target: Option<&Target>,
    headers: &RequestHeaders,
    uid: Uid,
) -> Span {
    let app = &serving.app;
    let name = SpanName { target, service: app.source.service.as_str() };
    let mut span = app.spans.start(name, SpanKind::Server, headers.traceparent.as_ref());
    if !span.is_recording() {
        return span;
    }
    span.set("messaging.system", "nats");
    span.set("messaging.destination.name", message.subject().to_owned());
    span.set("rpc.system", "jsonrpc");
    span.set("rpc.service", app.source.service.to_string());
    if let Some(target) = target {
        span.set("rpc.method", target.method().to_owned());
    }
    span.set("messaging.message.id", uid.to_string());
    if let Some(source) = &headers.source {
        span.set("tpro.source", source.to_string());
    }
    if let Some(budget) = headers.budget_ms {
        span.set("tpro.budget_ms", i64::try_from(budget).unwrap_or(i64::MAX));
    }
    span.set("service.version", app.config.version.clone());
    span.set("copy", i64::from(app.config.copy));
    span.set("tpro.attempt", i64::from(headers.attempt));
    span.set("tpro.repeat", false);
    span
}

/// A name that is put together only when the span is recorded, which the sampler decides.
struct SpanName<'a> {
    target: Option<&'a Target>,
    service: &'a str,
}

impl From<SpanName<'_>> for Cow<'static, str> {
    fn from(name: SpanName<'_>) -> Self {
        name.target.map_or(name.service, Target::service_method).to_owned().into()
    }
}

/// True if a repeat of this message could not be told, since the inbox does not reach that far.
/// Also true if its time is still to come, since the inbox would forget it too late.
async fn is_stale(app: &Host, uid: Uid) -> bool {
    let looks_stale =
        || verdict::is_stale(uid.unix_ms(), app.clock.unix_ms(), app.config.limits.inbox_window);
    if !looks_stale() {
        return false;
    }
    // The monotonic clock stands still while the machine is suspended, so that a message after it
    // would seem to come from the future. So the database is asked before a message is refused. If
    // it does not answer, our own clock decides.
    if app.clock.age() > JUST_NOW {
        let _ = ask_time(app).await;
    }
    looks_stale()
}
