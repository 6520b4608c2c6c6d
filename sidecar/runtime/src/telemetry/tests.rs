use std::sync::Mutex;

use opentelemetry::{SpanId, trace::Status};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};

use super::{
    sink::{BATCH, QUEUE},
    *,
};
use crate::{config::Sampling, metrics::Reason};

/// Keeps the exported spans; optionally refuses.
#[derive(Clone, Debug, Default)]
struct Kept {
    spans: Arc<Mutex<Vec<SpanData>>>,
    refuse: bool,
}

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        if self.refuse {
            return Err(opentelemetry_sdk::error::OTelSdkError::InternalFailure("refused".into()));
        }
        self.spans.lock().unwrap().extend(batch);
        Ok(())
    }
}

fn spans(sampling: Sampling) -> (Spans, Kept, SpanCounts) {
    let (kept, counts) = (Kept::default(), SpanCounts::default());
    (Spans::by(kept.clone(), sampling, &counts), kept, counts)
}

fn exported(spans: &Spans, kept: &Kept) -> Vec<SpanData> {
    spans.sink.as_ref().unwrap().flush();
    kept.spans.lock().unwrap().clone()
}

fn minted() -> TraceParent {
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap()
}

#[test]
fn a_resumed_span_has_the_id_that_sql_minted_and_starts_with_the_row() {
    let (spans, kept, _) = spans(Sampling::default());
    let start = SystemTime::now() - Duration::from_secs(3);
    let mut span = spans.resume("publish a.b.c.d", SpanKind::Producer, minted(), None, start);
    span.set("tpro.queue_ms", 3000);
    span.set("tpro.queue_ms", 3001);
    let child = spans.start("c.d", SpanKind::Client, Some(&span.context()));
    child.end();
    span.end();
    let all = exported(&spans, &kept);
    let (child, root) = (&all[0], &all[1]);
    assert_eq!(root.span_context.span_id(), SpanId::from_bytes(minted().span_id));
    assert_eq!(root.parent_span_id, SpanId::INVALID);
    assert_eq!(root.start_time, start);
    assert!(root.end_time > start);
    assert_eq!(root.attributes.len(), 1);
    assert_eq!(child.parent_span_id, root.span_context.span_id());
    assert_eq!(child.span_context.trace_id(), root.span_context.trace_id());
    assert_ne!(child.span_context.span_id(), root.span_context.span_id());
}

#[test]
fn a_span_carries_its_events_links_and_failure() {
    let (spans, kept, _) = spans(Sampling::default());
    let mut span = spans.start("settle", SpanKind::Internal, None);
    span.event("attempt", vec![("tpro.attempt", 2.into())]);
    span.link(minted());
    span.fail("timeout");
    drop(span);
    let all = exported(&spans, &kept);
    assert_eq!(all[0].events.len(), 1);
    assert_eq!(all[0].links[0].span_context.span_id(), SpanId::from_bytes(minted().span_id));
    assert_eq!(all[0].status, Status::error("timeout"));
}

#[test]
fn a_span_never_ends_before_it_began() {
    let (spans, kept, _) = spans(Sampling::default());
    let ahead = SystemTime::now() + Duration::from_secs(3600);
    spans.resume("publish", SpanKind::Producer, minted(), None, ahead).end();
    let all = exported(&spans, &kept);
    assert_eq!(all[0].end_time, all[0].start_time);
}

#[test]
fn every_service_decides_the_same_about_a_trace_and_the_flag_follows() {
    let half = Sampling { ratio: 0.5, parent_based: true };
    let (first, _, _) = spans(half);
    let (second, _, _) = spans(half);
    let mut kept = 0;
    for _ in 0..1000 {
        let minted = TraceParent::root(random::bytes(), true);
        let one = first.resume("publish", SpanKind::Producer, minted, None, SystemTime::now());
        let other = second.resume("publish", SpanKind::Producer, minted, None, SystemTime::now());
        assert_eq!(one.is_recording(), other.is_recording());
        assert_eq!(one.is_recording(), one.context().sampled());
        assert_eq!(one.context().span_id, minted.span_id);
        let below = second.start("c.d", SpanKind::Server, Some(&one.context()));
        assert_eq!(below.is_recording(), one.is_recording());
        kept += u32::from(one.is_recording());
    }
    assert!((400..600).contains(&kept), "{kept} of 1000");
}

#[test]
fn a_sampler_that_is_not_parent_based_ignores_the_flag() {
    let (always, _, _) = spans(Sampling { ratio: 1.0, parent_based: false });
    let (never, _, _) = spans(Sampling { ratio: 0.0, parent_based: false });
    let unsampled = TraceParent { flags: 0, ..minted() };
    assert!(always.start("x", SpanKind::Server, Some(&unsampled)).is_recording());
    assert!(!never.start("x", SpanKind::Server, Some(&minted())).is_recording());
}

#[test]
fn without_a_collector_a_callers_trace_is_handed_on_untorn() {
    let spans = Spans::off();
    let span = spans.start("x", SpanKind::Server, Some(&minted()));
    assert!(!span.is_recording());
    assert_eq!(span.context(), minted());
    assert!(!spans.start("x", SpanKind::Server, None).context().sampled());
    let root = spans.resume("publish", SpanKind::Producer, minted(), None, SystemTime::now());
    assert!(!root.context().sampled());
    let below = spans.resume("publish", SpanKind::Producer, minted(), Some([7; 8]), SystemTime::now());
    assert_eq!((below.context().span_id, below.context().sampled()), ([7; 8], true));
}

#[test]
fn spans_that_the_collector_does_not_take_are_counted() {
    let counts = SpanCounts::default();
    let spans = Spans::by(Kept { refuse: true, ..Kept::default() }, Sampling::default(), &counts);
    for _ in 0..3 {
        spans.start("x", SpanKind::Internal, None).end();
    }
    spans.sink.as_ref().unwrap().flush();
    assert_eq!(counts.dropped.get_or_create(&Reason { reason: "export" }).get(), 3);
    assert_eq!(spans.sink.as_ref().unwrap().queued(), 0);
}

/// An exporter that never comes back.
#[derive(Debug)]
struct BlackHole;

impl SpanExporter for BlackHole {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        std::future::pending().await
    }
}

#[test]
fn a_dead_collector_costs_the_work_nothing_and_what_is_dropped_is_counted() {
    let counts = SpanCounts::default();
    let spans = Spans::by(BlackHole, Sampling::default(), &counts);
    let begun = std::time::Instant::now();
    let ended = 4 * QUEUE as u64;
    for _ in 0..ended {
        spans.start("x", SpanKind::Internal, None).end();
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let dropped = counts.dropped.get_or_create(&Reason { reason: "queue" }).get();
    let held = spans.sink.as_ref().unwrap().queued() as u64;
    // Spans that are neither dropped nor queued are in the hands of the exporter: at most one
    // batch.
    assert!(
        dropped + held <= ended && dropped + held + BATCH as u64 >= ended,
        "{dropped} + {held} of {ended}"
    );
}

#[tokio::test]
async fn a_dead_collector_does_not_hold_up_the_end() {
    let spans = Spans::by(BlackHole, Sampling::default(), &SpanCounts::default());
    spans.start("x", SpanKind::Internal, None).end();
    let begun = std::time::Instant::now();
    spans.flush_and_stop(Duration::from_millis(200)).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
