//! The writing of a reply, with its reply handler.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tpro_runtime::{backoff::Backoff, metrics::Reason, settlement::Settlement, telemetry::SpanKind};
use tpro_wire::{RpcError, Status, TraceParent, error::code};

use super::{
    Failure, Fault, Handlers, QueryError, ReplyCtx, Statements,
    cause::{describe, describe_fault},
    reply_ctx::Told,
    reply_row::{insert, insert_fault, is_swallowed},
    run::{Ended, run},
    settling::Ending,
    sql_reply::SqlReply,
    way::Reaction,
};
use crate::host::Host;

/// The time that the transaction may last longer than its handler, for the statements around it.
const MARGIN: Duration = Duration::from_secs(5);
/// Pauses between tries.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Writes the reply and runs its handler in one transaction. If the handler fails, the reply is
/// still written.
///
/// The handler has its effects only where the reply was not yet there, so once per message. If the
/// database fails it in a way that passes, all is undone and tried again, for as long as a handler
/// may take. An error means that the reply was not written, or that nobody knows if it was: it is
/// safe to call again. A reply that only the leader may write comes with the backend that must be
/// leading at that moment. If it is not, nothing is written, and false is returned.
pub async fn settle(
    app: &Host,
    service: &Handlers,
    settlement: Settlement,
    leader: Option<i32>,
) -> Result<bool, QueryError> {
    let mut span = app.spans.start("settle", SpanKind::Internal, Some(&settlement.traceparent));
    span.set("messaging.message.id", settlement.uid.to_string());
    span.set("tpro.target", settlement.target.subject().to_owned());
    span.set("tpro.status", settlement.status.as_str());
    let context = span.context();
    let settled = tries(app, service, settlement, leader, context).await;
    let how = match &settled {
        Ok(how) => how,
        Err(_) => "not_written",
    };
    span.set("tpro.reply_handler", how);
    if !matches!(how, "ok" | "repeat" | "none" | "deposed") {
        span.fail(how);
    }
    app.counts.reply_handlers.get_or_create(&Reason { reason: how }).inc();
    settled.map(|how| !matches!(how, "deposed" | "swallowed"))
}

/// Tries until it is done. Returns the result of the handler in a word.
async fn tries(
    app: &Host,
    service: &Handlers,
    mut settlement: Settlement,
    leader: Option<i32>,
    span: TraceParent,
) -> Result<&'static str, QueryError> {
    let until = Instant::now() + app.config.limits.reply_handler;
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    let handler = service.reaction(&settlement.target);
    let (mut met, mut unstored) = (false, false);
    loop {
        let more = Instant::now() < until && !app.stop.hard.is_cancelled();
        let passed = match settle_once(app, handler, &settlement, leader, span, more).await {
            Ok(how) => return Ok(how),
            // Once only: the reply that takes its place is ours.
            Err(Failed::Query(error)) if is_bad_value(&error) && !std::mem::replace(&mut unstored, true) => {
                settlement = unstorable(settlement);
                continue;
            }
            Err(Failed::Query(error)) if !more || !error.is_passing() => return Err(error),
            Err(Failed::Query(error)) => describe(&error),
            Err(Failed::Passing(error)) => error,
        };
        if !std::mem::replace(&mut met, true) {
            tracing::warn!(
                message.id = %settlement.uid,
                trace.id = %span.trace_id_hex(),
                tpro.target = %settlement.target,
                "the database failed a reply handler, which runs again: {passed}"
            );
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next_pause()) => {}
            () = app.stop.hard.cancelled() => {}
        }
    }
}

/// The reason why a try failed.
enum Failed {
    /// The database failed the handler in a way that passes. All is undone, or nobody knows.
    Passing(String),
    Query(QueryError),
}

impl From<QueryError> for Failed {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

/// One try. `more` says that there may be another.
async fn settle_once(
    app: &Host,
    handler: Option<&Reaction>,
    settlement: &Settlement,
    leader: Option<i32>,
    span: TraceParent,
    more: bool,
) -> Result<&'static str, Failed> {
    let limit = app.config.limits.reply_handler;
    // The reply may be in the table and not committed: by the handler of a leader before us, which
    // may last as long as ours, or by an operator who cancels. That end is waited for here and not
    // on the leader's session.
    let tx =
        Arc::new(Statements::begin(app, settlement.priority, span, limit + MARGIN, limit + MARGIN).await?);
    match insert(app, &tx, settlement, leader).await? {
        Ending::Settled => {
            // The leader's own INSERT finds it out, too, and keeps the reply until it can be
            // written.
            let swallowed = is_swallowed(app, &tx, settlement).await?;
            tx.roll_back().await;
            return Ok(if swallowed { "swallowed" } else { "repeat" });
        }
        Ending::Deposed => {
            tx.roll_back().await;
            return Ok("deposed");
        }
        Ending::Commit => {}
    }
    let named = settlement.on_reply.clone().map(SqlReply::OfMessage);
    let handler = match (named, handler) {
        (Some(function), _) => Handler::Sql(function),
        (None, Some(handler)) => Handler::Program(handler),
        (None, None) => match SqlReply::find(app, &tx, settlement).await? {
            Some(function) => Handler::Sql(function),
            None => {
                tx.commit().await?;
                return Ok("none");
            }
        },
    };
    tx.enter(app, span).await?;
    let ctx = ReplyCtx::new(Told {
        app: app.clone(),
        statements: tx.clone(),
        id: settlement.id,
        uid: settlement.uid,
        target: settlement.target.clone(),
        attempts: settlement.attempts,
        responder: settlement.responder.clone(),
        reply_to: settlement.reply_to.clone(),
        span,
    });
    // From here on the handler has had its turn. After any error that does not pass, it does not
    // run again for this message, or a poisonous one would keep it unsettled.
    let (how, error) =
        match run(handle(&handler, ctx, settlement), Instant::now() + limit, &app.stop.hard).await {
            Ended::Done(Ok(())) => match tx.commit().await {
                Ok(()) => return Ok("ok"),
                // If it has committed all the same, the next try finds the reply.
                Err(error) if more && (error.is_passing() || tx.wants_again()) => {
                    return Err(Failed::Passing(describe(&error)));
                }
                Err(error) => ("commit_failed", describe(&error)),
            },
            Ended::Done(Err(fault)) if more && (fault.is_passing() || tx.wants_again()) => {
                if !fault.is_lost() {
                    tx.roll_back().await;
                }
                return Err(Failed::Passing(describe_fault(&fault)));
            }
            Ended::Done(Err(fault)) => ("failed", describe_fault(&fault)),
            Ended::Late => ("late", format!("took more than {} s and was stopped", limit.as_secs())),
            Ended::Stopped => ("stopped", "was stopped with the process".to_owned()),
        };
    tracing::error!(
        message.id = %settlement.uid,
        trace.id = %span.trace_id_hex(),
        tpro.target = %settlement.target,
        "the reply handler failed; the reply is kept: {error}"
    );
    if how == "failed" && keep_behind_savepoint(app, &tx, settlement, &error).await.is_ok() {
        return Ok(how);
    }
    drop(tx);
    match keep(app, settlement, leader, &error, span).await? {
        true => Ok(how),
        false => Ok("deposed"),
    }
}

/// The handler of a reply. The function of the message goes before the program, and the program
/// before `tpro.on_reply`.
enum Handler<'a> {
    Program(&'a Reaction),
    Sql(SqlReply),
}

async fn handle(handler: &Handler<'_>, ctx: ReplyCtx, settlement: &Settlement) -> Result<(), Fault> {
    let handler = match handler {
        Handler::Program(handler) => handler,
        Handler::Sql(function) => return function.call(ctx, settlement).await,
    };
    match settlement.status {
        Status::Ok => (handler.ok)(ctx, settlement.result.as_deref().unwrap_or("null")).await,
        status => {
            let error = settlement.error.as_deref().and_then(|error| serde_json::from_str(error).ok());
            let error = error.unwrap_or_else(|| RpcError::new(code::INTERNAL, "no error object"));
            (handler.failed)(ctx, Failure { status, error }).await
        }
    }
}

/// Undoes the handler's part of the transaction that has the reply, and commits the reply with the
/// handler's error.
async fn keep_behind_savepoint(
    app: &Host,
    tx: &Statements,
    settlement: &Settlement,
    error: &str,
) -> Result<(), QueryError> {
    tx.close();
    tx.undo_handler().await?;
    insert_fault(app, tx, settlement, error).await?;
    tx.commit().await
}

/// Writes reply and error in a new transaction, where the first is lost. False if they are not ours
/// to say any more.
async fn keep(
    app: &Host,
    settlement: &Settlement,
    leader: Option<i32>,
    error: &str,
    span: TraceParent,
) -> Result<bool, QueryError> {
    let tx = Statements::begin(app, settlement.priority, span, MARGIN, MARGIN).await?;
    match insert(app, &tx, settlement, leader).await? {
        // The commit whose answer was lost had succeeded.
        Ending::Settled => {
            tx.roll_back().await;
            return Ok(true);
        }
        Ending::Deposed => {
            tx.roll_back().await;
            return Ok(false);
        }
        Ending::Commit => {}
    }
    insert_fault(app, &tx, settlement, error).await?;
    tx.commit().await.map(|()| true)
}

/// True if PostgreSQL cannot hold the value: class 22 (data), or 54 (too large, too deep).
fn is_bad_value(error: &QueryError) -> bool {
    error.code().is_some_and(|code| code.code().starts_with("22") || code.code().starts_with("54"))
}

/// The reply in place of one that cannot be stored.
fn unstorable(settlement: Settlement) -> Settlement {
    let error = RpcError::new(code::BAD_REPLY, "the reply cannot be stored as jsonb");
    Settlement {
        status: Status::Error,
        result: None,
        error: Some(error.to_json()),
        headers: None,
        ..settlement
    }
}
