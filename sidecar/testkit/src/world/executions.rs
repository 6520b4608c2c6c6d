//! The executions of a world's messages, as its spans tell them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio_postgres::Client;

use super::World;
use crate::collector::Collector;
use crate::eventually::eventually;
use crate::failure::{Context, Failure, Outcome};
use crate::sidecar::SidecarProcess;
use crate::span::{Kind, SpanRecord};

/// The spans of a world, the outcomes that its services have stored, and the copies that export.
pub(super) struct Executions<'w> {
    admin: &'w Client,
    collector: &'w Collector,
    services: &'w [String],
    copies: Vec<Arc<SidecarProcess>>,
}

impl<'w> Executions<'w> {
    pub(super) fn of(world: &'w World) -> Executions<'w> {
        Executions {
            admin: &world.admin,
            collector: &world.collector,
            services: &world.services,
            copies: world.started(),
        }
    }

    /// Checks that each run of a message with a stored outcome is one SERVER span with
    /// `tpro.repeat=false`. Runs that a stop cut off or a handler put off are left out, and so
    /// are the answers that a message gets when it is given up (`tpro.runs`): nothing runs, and two
    /// deliveries may be told at once.
    pub(super) async fn told_once(&self) -> Outcome {
        for service in self.services {
            if self.tells_all(service).await? {
                self.executed(service).await?;
            }
            let mut executed = BTreeMap::<_, u32>::new();
            for span in self.executions(service) {
                let none_of = ["tpro.runs", "tpro.retry_after_ms"];
                let counts = none_of.iter().all(|name| span.attribute(name).is_empty());
                if span.attribute("tpro.stopped") != "true" && counts {
                    let uid = span.attribute("messaging.message.id").to_owned();
                    *executed.entry((uid, span.attribute("tpro.run").to_owned())).or_default() += 1;
                }
            }
            let stored = self.uids(&format!("SELECT uid::text FROM {service}_service.mq_outcome")).await?;
            let twice = executed.iter().find(|((uid, _), times)| stored.contains(uid) && **times > 1);
            if let Some(((uid, _), times)) = twice {
                return Err(Failure::new(format!("{service} has executed message {uid} {times} times")));
            }
        }
        Ok(())
    }

    /// True if the spans of a service must be here sooner or later: it exports them to this world's
    /// collector, has lost none, and no copy of it was killed or stood still.
    async fn tells_all(&self, service: &str) -> Outcome<bool> {
        let endpoint = self.collector.endpoint();
        let mut tells = false;
        for copy in self.copies.iter().filter(|copy| copy.value("SERVICE_NAME") == Some(service)) {
            let exports = copy.value("OTEL_EXPORTER_OTLP_ENDPOINT") == Some(&endpoint)
                && copy.value("OTEL_TRACES_SAMPLER").is_none();
            if !exports || !copy.is_undisturbed()? {
                return Ok(false);
            }
            if copy.process().exit()?.is_none() && copy.metric("tpro_spans_dropped_total").await? > 0.0 {
                return Ok(false);
            }
            tells = true;
        }
        Ok(tells)
    }

    /// Waits for the span of each stored outcome whose message's trace is sampled. Spans leave half
    /// a second late.
    async fn executed(&self, service: &str) -> Outcome {
        let mut missing = BTreeSet::new();
        for asking in self.services {
            let stored = format!(
                "SELECT uid::text FROM {service}_service.mq_outcome JOIN {asking}_service.mq_publish USING (uid)
                 WHERE traceparent LIKE '%-01'"
            );
            missing.append(&mut self.uids(&stored).await?);
        }
        let mut seen = 0;
        let what = format!("the runs of {service} have their spans");
        let told = eventually(&what, async || {
            if !missing.is_empty() && self.collector.arrivals() != seen {
                seen = self.collector.arrivals();
                for span in self.executions(service) {
                    missing.remove(span.attribute("messaging.message.id"));
                }
            }
            Ok(missing.is_empty())
        });
        told.await.map_err(|failure| {
            failure.during(format!(
                "{} outcomes have none, the first is of {:?}",
                missing.len(),
                missing.first()
            ))
        })
    }

    /// The SERVER spans of a service that are runs of a handler.
    fn executions(&self, service: &str) -> impl Iterator<Item = SpanRecord> {
        self.collector.spans().into_iter().filter(move |span| {
            span.service == service && span.kind == Kind::Server && span.attribute("tpro.repeat") == "false"
        })
    }

    async fn uids(&self, query: &str) -> Outcome<BTreeSet<String>> {
        Ok(self.admin.query(query, &[]).await.context(query)?.iter().map(|row| row.get(0)).collect())
    }
}
