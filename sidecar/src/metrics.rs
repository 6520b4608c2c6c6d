//! Counters and gauges, in one struct, so that a reader sees all there is. `http` prints them.

use std::{fmt, sync::atomic::AtomicU64};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::Registry,
};

use crate::{config::Config, dispatcher::metrics::Counts, maintenance, subscriber::metrics::Serving};

/// One label that tells the causes of the same thing apart: `{reason="queue"}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reason {
    /// The cause, one of a few words of ours.
    pub reason: &'static str,
}

/// One of the bounds: `{limit="handlers"}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LimitName {
    /// As in the configuration, in small letters.
    pub limit: &'static str,
}

/// All metrics of a sidecar. Add a field here and its registration in `Metrics::new`.
pub struct Metrics {
    registry: Registry,
    /// 1 when no readiness check complains. Set when the metrics are asked for.
    pub ready: Gauge,
    /// Tasks on the tracker. Set when the metrics are asked for.
    pub tasks: Gauge,
    /// Memory of the process in RAM. Set when the metrics are asked for.
    pub resident_memory_bytes: Gauge,
    /// What subscriber, inbox and handlers count.
    pub serving: Serving,
    /// What the dispatcher counts.
    pub dispatcher: Counts,
    /// What maintenance counts.
    pub maintenance: maintenance::metrics::Counts,
    /// Messages sent to NATS, attempts counted each.
    pub sent: Counter,
    /// Messages in flight now.
    pub in_flight: Gauge,
    /// Spans the collector has taken.
    pub spans_exported: Counter,
    /// Spans lost: `queue` (the queue was full), `export` (the collector did not take them).
    pub spans_dropped: Family<Reason, Counter>,
    /// Log lines lost: `stdout` or `file` did not take them in time.
    pub log_lines_dropped: Family<Reason, Counter>,
    /// Connections of the pool: `open`, those of them that are `idle`, and those that are `waited` for.
    pub pool: Family<Reason, Gauge>,
    /// The share of the database's NOTIFY queue that is used, 0 to 1.
    pub notify_queue: Gauge<f64, AtomicU64>,
    /// How often NATS was lost.
    pub nats_disconnects: Counter,
    /// Messages that the NATS client could not have parsed as they came.
    pub nats_unreadable: Counter,
    /// Slow-consumer events: each is at least one message that was dropped before we could read it.
    pub nats_slow_consumer: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero, registered under `tpro_`.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("tpro");
        let mut metrics = Self {
            serving: Serving::new(&mut registry),
            dispatcher: Counts::new(&mut registry),
            maintenance: maintenance::metrics::Counts::new(&mut registry),
            registry,
            ready: Gauge::default(),
            tasks: Gauge::default(),
            resident_memory_bytes: Gauge::default(),
            sent: Counter::default(),
            in_flight: Gauge::default(),
            spans_exported: Counter::default(),
            spans_dropped: Family::default(),
            log_lines_dropped: Family::default(),
            pool: Family::default(),
            notify_queue: Gauge::default(),
            nats_disconnects: Counter::default(),
            nats_unreadable: Counter::default(),
            nats_slow_consumer: Counter::default(),
        };
        let r = &mut metrics.registry;
        r.register("ready", "1 when no readiness check complains", metrics.ready.clone());
        r.register("tasks", "Tasks on the tracker", metrics.tasks.clone());
        r.register("resident_memory_bytes", "Memory in RAM", metrics.resident_memory_bytes.clone());
        r.register("sent", "Messages sent to NATS, attempts counted each", metrics.sent.clone());
        r.register("in_flight", "Messages in flight now", metrics.in_flight.clone());
        r.register("spans_exported", "Spans the collector has taken", metrics.spans_exported.clone());
        r.register("spans_dropped", "Spans lost, by reason", metrics.spans_dropped.clone());
        r.register("log_lines_dropped", "Log lines lost, by sink", metrics.log_lines_dropped.clone());
        r.register(
            "pool_connections",
            "Connections of the pool: open, idle, and waited for",
            metrics.pool.clone(),
        );
        r.register(
            "notify_queue_usage",
            "Share of the NOTIFY queue that is used",
            metrics.notify_queue.clone(),
        );
        r.register("nats_disconnects", "How often NATS was lost", metrics.nats_disconnects.clone());
        r.register(
            "nats_unreadable",
            "Messages that could not be parsed as they came",
            metrics.nats_unreadable.clone(),
        );
        r.register("nats_slow_consumer", "Slow-consumer events", metrics.nats_slow_consumer.clone());
        metrics
    }

    /// All at zero, and `tpro_build_info{service="...", ...} 1`, which says who reports.
    pub(crate) fn of(config: &Config) -> Self {
        let mut metrics = Self::new();
        let who = vec![
            ("service", config.service.to_string()),
            ("version", config.version.clone()),
            ("copy", config.copy.to_string()),
        ];
        metrics.registry.register("build", "Who reports", Info::new(who));
        let limits = Family::<LimitName, Gauge>::default();
        for (limit, bound) in config.limits.bounds().into_iter().chain([("pool", config.pool_max)]) {
            limits.get_or_create(&LimitName { limit }).set(i64::try_from(bound).unwrap_or(i64::MAX));
        }
        metrics.registry.register("limit", "The configured bounds", limits);
        metrics
    }

    /// The text for Prometheus.
    pub(crate) fn print(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_our_prefix_and_the_page_says_who_reports() {
        let page = Metrics::of(&Config::sample(&[("HANDLERS_MAX", "7")])).print().unwrap();
        assert!(
            page.lines().filter(|line| !line.starts_with('#')).all(|line| line.starts_with("tpro_")),
            "{page}"
        );
        assert!(page.contains("tpro_build_info{service=\"main\",version=\"1.0\",copy=\"1\"} 1"), "{page}");
        assert!(page.contains("tpro_limit{limit=\"handlers\"} 7"), "{page}");
        assert!(page.ends_with("# EOF\n"));
    }
}
