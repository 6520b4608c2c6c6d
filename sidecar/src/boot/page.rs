//! The page of metrics: every part registers its counts, in the order in which the page has them.

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};
use tpro_dispatcher as dispatcher;
use tpro_maintenance as maintenance;
use tpro_runtime::{clock, config::Config, db, log, metrics, nats, telemetry};
use tpro_service as service;

use crate::http::{Page, Process};

/// The counts of the parts.
pub(super) struct Counts {
    pub(super) service: service::metrics::Counts,
    pub(super) dispatcher: dispatcher::metrics::Counts,
    pub(super) clock_skew: Gauge,
    pub(super) maintenance: maintenance::metrics::Counts,
    pub(super) spans: telemetry::SpanCounts,
    pub(super) log: log::LineCounts,
    pub(super) db: db::DbCounts,
    pub(super) nats: nats::NatsCounts,
}

/// The page, and the counts on it. All are zero.
pub(super) fn page(config: &Config) -> (Page, Counts) {
    let mut registry = metrics::registry();
    let (process, counts) = parts(&mut registry);
    metrics::register_config(&mut registry, config);
    (Page { registry, process }, counts)
}

fn parts(r: &mut Registry) -> (Process, Counts) {
    let dropped_replies = Family::default();
    let service = service::metrics::Counts::new(r, dropped_replies.clone());
    let dispatcher = dispatcher::metrics::Counts::new(r, dropped_replies);
    let clock_skew = clock::register_skew(r);
    let maintenance = maintenance::metrics::Counts::new(r);
    let process = Process::new(r);
    dispatcher.register_flight(r);
    let counts = Counts {
        service,
        dispatcher,
        clock_skew,
        maintenance,
        spans: telemetry::SpanCounts::new(r),
        log: log::LineCounts::new(r),
        db: db::DbCounts::new(r),
        nats: nats::NatsCounts::new(r),
    };
    (process, counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_our_prefix() {
        let mut registry = metrics::registry();
        let (_process, _counts) = parts(&mut registry);
        let page = metrics::print(&registry).unwrap();
        let mut lines = page.lines().filter(|line| !line.starts_with('#')).peekable();
        assert!(lines.peek().is_some() && lines.all(|line| line.starts_with("tpro_")), "{page}");
    }
}
