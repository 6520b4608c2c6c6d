//! The traces kept, within a limit of memory and number; the oldest go first.
//!
//! A span is kept as the bytes it came in and decoded when somebody looks: it is then several times smaller
//! than the decoded form, and its size is known instead of guessed.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use otlp_embedded::proto::resource::v1::Resource;
use otlp_embedded::proto::trace::v1::{ResourceSpans, Span};
use prost::Message as _;

use crate::names::Names;

/// 16 bytes, as in W3C Trace Context.
pub type TraceId = [u8; 16];
/// 8 bytes, as in W3C Trace Context.
pub type SpanId = [u8; 8];

/// What one span costs beside its bytes: the map's entry, the allocation, the pointer to its process.
const SPAN_OVERHEAD: usize = 96;
/// What one trace costs beside its spans.
const TRACE_OVERHEAD: usize = 256;
/// No browser draws more than this; beyond it one endless trace would push out all the others.
const MAX_SPANS_PER_TRACE: usize = 50_000;
/// When to look for processes that no span refers to any more.
const PROCESSES_SWEEP: usize = 1_000;

/// What the store may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Estimated bytes of all spans.
    pub bytes: usize,
    /// Number of traces.
    pub traces: usize,
}

/// One span and the process that made it.
pub struct SpanOf {
    /// The span as it came in.
    pub span: Span,
    /// The process it came from.
    pub process: Arc<Process>,
}

/// A process that sends spans: one incarnation of one copy of a service.
pub struct Process {
    /// Its `service.name`.
    pub service: String,
    /// All it says about itself.
    pub resource: Resource,
}

/// The spans of one trace that have arrived, in whatever order.
#[derive(Default)]
pub struct Trace {
    spans: HashMap<SpanId, Kept>,
    bytes: usize,
    start_ns: u64,
    over_limit: u64,
}

struct Kept {
    bytes: Box<[u8]>,
    process: Arc<Process>,
}

/// All traces kept.
pub struct Store {
    traces: HashMap<TraceId, Trace>,
    by_arrival: VecDeque<TraceId>,
    processes: HashMap<Vec<u8>, Arc<Process>>,
    names: Names,
    bytes: usize,
    limits: Limits,
}

impl Trace {
    /// Start of its earliest span, in nanoseconds since 1970.
    pub fn start_ns(&self) -> u64 {
        self.start_ns
    }

    /// Spans that came after the limit per trace and were dropped.
    pub fn over_limit(&self) -> u64 {
        self.over_limit
    }

    /// Whether a span of this service is in it; decodes nothing.
    pub fn has_service(&self, service: &str) -> bool {
        self.spans.values().any(|kept| kept.process.service == service)
    }

    /// Its spans, earliest first.
    pub fn spans(&self) -> Vec<SpanOf> {
        let mut spans: Vec<SpanOf> = self.spans.values().filter_map(Kept::decode).collect();
        spans.sort_by_key(|of| (of.span.start_time_unix_nano, of.span.end_time_unix_nano));
        spans
    }

    fn add(&mut self, id: SpanId, span: &Span, process: Arc<Process>) {
        if self.spans.len() >= MAX_SPANS_PER_TRACE && !self.spans.contains_key(&id) {
            self.over_limit += 1;
            return;
        }
        let kept = Kept { bytes: span.encode_to_vec().into_boxed_slice(), process };
        self.bytes += kept.cost();
        self.start_ns = match self.spans.is_empty() {
            true => span.start_time_unix_nano,
            false => self.start_ns.min(span.start_time_unix_nano),
        };
        // An exporter that repeats a batch sends the same span again: the later one takes its place.
        if let Some(before) = self.spans.insert(id, kept) {
            self.bytes -= before.cost();
        }
    }
}

impl Kept {
    fn cost(&self) -> usize {
        self.bytes.len() + SPAN_OVERHEAD
    }

    fn decode(&self) -> Option<SpanOf> {
        let span = Span::decode(&*self.bytes).ok()?;
        Some(SpanOf { span, process: Arc::clone(&self.process) })
    }
}

impl Store {
    /// An empty store.
    pub fn new(limits: Limits) -> Self {
        Self {
            traces: HashMap::new(),
            by_arrival: VecDeque::new(),
            processes: HashMap::new(),
            names: Names::default(),
            bytes: 0,
            limits,
        }
    }

    /// Takes what one process has sent. Answers how many spans were refused for an id that is none.
    pub fn add(&mut self, sent: ResourceSpans) -> usize {
        let process = self.process(sent.resource.unwrap_or_default());
        let mut refused = 0;
        for span in sent.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            match ids(&span) {
                Some((trace_id, span_id)) => self.add_span(trace_id, span_id, &span, Arc::clone(&process)),
                None => refused += 1,
            }
        }
        self.evict();
        refused
    }

    /// One trace.
    pub fn get(&self, id: &TraceId) -> Option<&Trace> {
        self.traces.get(id)
    }

    /// All traces, the latest to arrive first.
    pub fn latest(&self) -> impl Iterator<Item = (&TraceId, &Trace)> {
        self.by_arrival.iter().rev().filter_map(|id| self.traces.get_key_value(id))
    }

    /// Services and operations seen.
    pub fn names(&self) -> &Names {
        &self.names
    }

    fn add_span(&mut self, trace_id: TraceId, span_id: SpanId, span: &Span, process: Arc<Process>) {
        self.names.saw(&process.service, &span.name, span.kind());
        let trace = self.traces.entry(trace_id).or_insert_with(|| {
            self.by_arrival.push_back(trace_id);
            self.bytes += TRACE_OVERHEAD;
            Trace::default()
        });
        let before = trace.bytes;
        trace.add(span_id, span, process);
        self.bytes = self.bytes + trace.bytes - before;
    }

    fn evict(&mut self) {
        while self.traces.len() > self.limits.traces || self.bytes > self.limits.bytes {
            let Some(oldest) = self.by_arrival.pop_front() else { return };
            if let Some(trace) = self.traces.remove(&oldest) {
                self.bytes -= trace.bytes + TRACE_OVERHEAD;
            }
        }
    }

    /// Every batch of a process repeats the same resource: keep one.
    fn process(&mut self, resource: Resource) -> Arc<Process> {
        let key = resource.encode_to_vec();
        if let Some(known) = self.processes.get(&key) {
            return Arc::clone(known);
        }
        if self.processes.len() >= PROCESSES_SWEEP {
            self.processes.retain(|_, process| Arc::strong_count(process) > 1);
        }
        let process = Arc::new(Process { service: crate::jaeger::service_name(&resource), resource });
        self.processes.insert(key, Arc::clone(&process));
        process
    }
}

/// The ids of a span, if they are ids: of the right length and not all zero.
fn ids(span: &Span) -> Option<(TraceId, SpanId)> {
    let trace_id: TraceId = span.trace_id.as_slice().try_into().ok()?;
    let span_id: SpanId = span.span_id.as_slice().try_into().ok()?;
    (trace_id != [0; 16] && span_id != [0; 8]).then_some((trace_id, span_id))
}

#[cfg(test)]
mod tests {
    use otlp_embedded::proto::trace::v1::ScopeSpans;

    use super::*;

    fn sent(trace: u8, spans: std::ops::Range<u8>) -> ResourceSpans {
        let spans = spans
            .map(|n| Span {
                trace_id: vec![trace; 16],
                span_id: vec![n; 8],
                name: format!("span {n}"),
                start_time_unix_nano: u64::from(n),
                ..Span::default()
            })
            .collect();
        ResourceSpans {
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..Default::default()
        }
    }

    #[test]
    fn the_oldest_trace_goes_when_there_are_too_many() {
        let mut store = Store::new(Limits { bytes: usize::MAX, traces: 2 });
        for trace in 1..=3 {
            store.add(sent(trace, 1..3));
        }
        assert!(store.get(&[1; 16]).is_none());
        assert_eq!(store.latest().map(|(id, _)| id[0]).collect::<Vec<_>>(), [3, 2]);
    }

    #[test]
    fn memory_stays_within_its_limit_and_is_given_back() {
        let mut store = Store::new(Limits { bytes: 4_000, traces: usize::MAX });
        for trace in 1..=100 {
            store.add(sent(trace, 1..5));
            assert!(store.bytes <= 4_000);
        }
        assert!(store.traces.len() > 2 && store.traces.len() < 20, "{} traces", store.traces.len());
        store.limits.bytes = 0;
        store.evict();
        assert_eq!((store.traces.len(), store.bytes), (0, 0));
    }

    #[test]
    fn a_span_sent_twice_is_there_once() {
        let mut store = Store::new(Limits { bytes: usize::MAX, traces: 9 });
        store.add(sent(1, 1..4));
        let bytes = store.bytes;
        store.add(sent(1, 1..4));
        assert_eq!(store.bytes, bytes);
        assert_eq!(store.get(&[1; 16]).map(|trace| trace.spans().len()), Some(3));
    }

    #[test]
    fn a_span_without_ids_is_refused_and_counted() {
        let mut store = Store::new(Limits { bytes: usize::MAX, traces: 9 });
        assert_eq!(store.add(sent(0, 0..1)), 1);
        assert_eq!(store.traces.len(), 0);
    }
}
