//! The eight cases: the statement, the expectation, the result.

use std::time::Instant;

use serde_json::Value;

use crate::database::{Database, Published, Reply};
use crate::paper::{Paper, time};
use crate::statements as sql;
use crate::trace::Trace;
use crate::verdict::{Verdict, ensure};
use crate::viewer::Viewer;
use crate::wire::Wire;

const PARALLEL: &str = "exampleRequestWithParallelQueries";
const TRANSIT: &str = "exampleRequestWithParallelQueriesWithTransitOnExternalService";

/// SQLSTATE of a value that a rule does not allow.
const INVALID_PARAMETER_VALUE: &str = "22023";
/// JSON-RPC's "method not found".
const METHOD_NOT_FOUND: i64 = -32601;

/// The connections of the cases, and the names of those that failed.
pub struct Demo<'a> {
    pub paper: &'a Paper,
    pub database: &'a Database,
    pub wire: &'a Wire,
    pub viewer: Option<&'a Viewer>,
    pub failed: Vec<String>,
}

impl Demo<'_> {
    /// All of them, one after the other.
    pub async fn cases(&mut self) {
        self.case(1, "A login", Self::login).await;
        self.case(2, "Two queries side by side", Self::parallel).await;
        self.case(3, "Two queries and another service, side by side", Self::transit).await;
        self.case(4, "A wrong password", Self::wrong_password).await;
        self.case(5, "A method that the service has not", Self::unknown_method).await;
        self.case(6, "A service that nobody runs", Self::nobody).await;
        self.case(7, "A publish that is rolled back", Self::rolled_back).await;
        self.case(8, "A target that is refused", Self::refused).await;
    }

    async fn case(&mut self, number: usize, name: &str, case: impl AsyncFnOnce(&Self) -> Verdict) {
        self.paper.case(number, name);
        match case(self).await {
            Ok(seen) => self.paper.good(&seen),
            Err(instead) => {
                self.paper.bad(&instead);
                self.failed.push(format!("{number}  {name}: {instead}"));
            }
        }
    }

    async fn login(&self) -> Verdict {
        let (published, reply) = self.ask(sql::LOGIN, 15).await?;
        status(&reply, "ok")?;
        let has = |key: &str| !reply.result[key].is_null();
        ensure(has("sid") && has("face_id"), "no sid and face_id in the result")?;
        self.traced(&published, "sid and face_id", |trace| trace.whole_of(&["main", "analytic"])).await
    }

    async fn parallel(&self) -> Verdict {
        let sum_of = |hour, minute| hour + minute;
        self.side_by_side(sql::PARALLEL, 15, PARALLEL, sum_of, &["analytic"]).await
    }

    async fn transit(&self) -> Verdict {
        let both = |hour, minute| (hour + minute) + ((hour + 2) + (minute + 2));
        self.side_by_side(sql::TRANSIT, 30, TRANSIT, both, &["analytic", "co"]).await
    }

    /// Asks for a sum for which each of these services makes two queries at the same time. On a
    /// busy machine the second connection may be there only when the first query is over, so it is
    /// asked up to three times.
    async fn side_by_side(
        &self,
        statement: &str,
        budget_s: i32,
        key: &str,
        of: impl Fn(i64, i64) -> i64,
        services: &[&str],
    ) -> Verdict {
        let all: Vec<&str> = [&["main"], services].concat();
        let mut tries = 3;
        loop {
            let before = self.clock().await?;
            let (published, reply) = self.ask(statement, budget_s).await?;
            let sum = sum(&reply, key, before, self.clock().await?, &of)?;
            let (seen, trace) = self.traced_as(&published, &sum, |trace| trace.whole_of(&all)).await?;
            let apart = trace
                .and_then(|trace| services.iter().find_map(|service| trace.parallel_queries(service).err()));
            tries -= 1;
            match apart {
                None => return Ok(seen),
                Some(apart) if tries == 0 => return Err(format!("trace {}: {apart}", published.trace_id)),
                Some(apart) => self.paper.line("", &format!("{apart}; once more:")),
            }
        }
    }

    async fn wrong_password(&self) -> Verdict {
        let (published, reply) = self.ask(sql::WRONG_PASSWORD, 15).await?;
        status(&reply, "error")?;
        let error = reply.error.to_string();
        ensure(error.contains("password"), "the error does not say which field")?;
        ensure(!error.contains(sql::WRONG), "the error repeats the password")?;
        self.traced(&published, "the field is named, its value is not repeated", |trace| {
            trace.whole_of(&["main", "analytic"])
        })
        .await
    }

    async fn unknown_method(&self) -> Verdict {
        let (published, reply) = self.ask(sql::UNKNOWN_METHOD, 15).await?;
        status(&reply, "error")?;
        ensure(reply.error["code"] == METHOD_NOT_FOUND, format!("not code {METHOD_NOT_FOUND}"))?;
        self.traced(&published, "JSON-RPC's own code for it", |trace| trace.whole_of(&["main", "analytic"]))
            .await
    }

    async fn nobody(&self) -> Verdict {
        let (mut published, mut reply) = self.ask(sql::NOBODY, 2).await?;
        if reply.status == "timeout" {
            // On a busy machine the last attempt may be on its way at the end, and nobody can say
            // that it was not taken.
            (published, reply) = self.ask(sql::NOBODY, 2).await?;
        }
        status(&reply, "unavailable")?;
        ensure(reply.took_ms < 4_000.0, "it took longer than its two seconds allow")?;
        self.traced(&published, "settled within its two seconds", |trace| trace.whole_of(&["main"])).await
    }

    async fn rolled_back(&self) -> Verdict {
        self.paper.statement(&format!("BEGIN;\n{}\nROLLBACK;", sql::ROLLED_BACK));
        let watch = self.wire.watch(sql::ROLLED_BACK_SUBJECT).await;
        let never = self.roll_back().await.map_err(|error| error.to_string())?;
        self.paper.line("", "and after it one that is committed:");
        self.paper.statement(sql::AFTERWARDS);
        let after = self.publish(sql::AFTERWARDS).await?;
        self.reply(&after, 15).await?;

        let known = self.database.knows(never.id).await.map_err(|error| error.to_string())?;
        ensure(!known, format!("message {} is in the outbox", never.id))?;
        let sent = match watch {
            Ok(watch) => watch.seen().await,
            Err(error) => Err(error),
        };
        let nothing = match sent {
            Ok(0) => "no row, nothing on the wire".to_owned(),
            Ok(n) => return Err(format!("{n} messages on the wire")),
            Err(why) => format!("no row (the wire was not watched: {why})"),
        };
        let Some(viewer) = self.viewer else { return Ok(nothing) };
        // The message afterwards has arrived at the viewer, so the one before it would have, too.
        viewer.wait(&after.trace_id, Trace::whole).await?;
        ensure(viewer.trace(&never.trace_id).await?.is_none(), "its trace has spans")?;
        Ok(format!("{nothing}, no span"))
    }

    /// Publishes in a transaction that is rolled back. Returns the message that it would have been.
    async fn roll_back(&self) -> Result<Published, crate::database::Error> {
        self.database.execute("BEGIN").await?;
        let published = self.database.publish(sql::ROLLED_BACK).await;
        self.database.execute("ROLLBACK").await?;
        published
    }

    async fn refused(&self) -> Verdict {
        self.paper.statement(sql::REFUSED);
        let began = Instant::now();
        let refusal = self.database.refused(sql::REFUSED).await.map_err(|error| error.to_string())?;
        let refusal = refusal.ok_or("it was not refused")?;
        self.paper.line("refused", &format!("SQLSTATE {}: {}", refusal.code, refusal.message));
        self.paper.line("took", &time(began.elapsed().as_secs_f64() * 1_000.0));
        ensure(refusal.code == INVALID_PARAMETER_VALUE, format!("not SQLSTATE {INVALID_PARAMETER_VALUE}"))?;
        ensure(refusal.message.contains("service_name"), "the message does not name the column")?;
        ensure(!refusal.all.contains(sql::SECRET), "the message shows the row")?;
        Ok("the column and the rule are named, the row is not shown".to_owned())
    }

    /// Sends a statement, prints it and its reply.
    async fn ask(&self, statement: &str, budget_s: i32) -> Result<(Published, Reply), String> {
        self.paper.statement(statement);
        let published = self.publish(statement).await?;
        let reply = self.reply(&published, budget_s).await?;
        Ok((published, reply))
    }

    async fn publish(&self, statement: &str) -> Result<Published, String> {
        self.database.publish(statement).await.map_err(|error| error.to_string())
    }

    async fn reply(&self, published: &Published, budget_s: i32) -> Result<Reply, String> {
        let reply = self.database.wait(published.id, budget_s).await.map_err(|error| error.to_string());
        if let Ok(reply) = &reply {
            let said = if reply.result.is_null() { &reply.error } else { &reply.result };
            self.paper.line("reply", &format!("{}  {said}", reply.status));
            let by = reply.responder.as_ref().map_or(String::new(), |by| format!(", answered by {by}"));
            self.paper.line("took", &format!("{}{by}", time(reply.took_ms)));
        }
        if let Some(viewer) = self.viewer {
            self.paper.line("trace", &viewer.page(&published.trace_id));
        }
        reply
    }

    /// Waits for the trace, if there is a viewer, and adds it to the result.
    async fn traced(
        &self,
        published: &Published,
        seen: &str,
        wanted: impl Fn(&Trace) -> Result<(), String>,
    ) -> Verdict {
        self.traced_as(published, seen, wanted).await.map(|(seen, _)| seen)
    }

    /// Does as [`Self::traced`], and returns the trace, too.
    async fn traced_as(
        &self,
        published: &Published,
        seen: &str,
        wanted: impl Fn(&Trace) -> Result<(), String>,
    ) -> Result<(String, Option<Trace>), String> {
        let Some(viewer) = self.viewer else {
            return Ok((format!("{seen} (JAEGER_URL is not set: its trace was not looked at)"), None));
        };
        let trace = viewer.wait(&published.trace_id, wanted).await?;
        let seen = format!("{seen}; one trace of {} spans, one root, no orphan", trace.len());
        Ok((seen, Some(trace)))
    }

    async fn clock(&self) -> Result<(i64, i64), String> {
        self.database.clock().await.map_err(|error| error.to_string())
    }
}

fn status(reply: &Reply, wanted: &str) -> Result<(), String> {
    ensure(reply.status == wanted, format!("the status is {}, not {wanted}", reply.status))
}

/// The sum in a reply is that of an hour and a minute read before the message or after it: either
/// may have rolled over.
fn sum(
    reply: &Reply,
    key: &str,
    before: (i64, i64),
    after: (i64, i64),
    of: impl Fn(i64, i64) -> i64,
) -> Result<String, String> {
    status(reply, "ok")?;
    let Value::Number(answer) = &reply.result[key] else { return Err(format!("no {key} in the result")) };
    let hours = [before.0, after.0];
    let minutes = [before.1, after.1];
    let possible = hours.iter().flat_map(|&hour| minutes.iter().map(move |&minute| (hour, minute)));
    match possible.into_iter().find(|&(hour, minute)| answer.as_i64() == Some(of(hour, minute))) {
        Some((hour, minute)) => Ok(format!("{answer} is the sum at {hour:02}:{minute:02}")),
        None => Err(format!("{answer} is not the sum at {:02}:{:02}", after.0, after.1)),
    }
}
