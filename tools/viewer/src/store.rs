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

/// What one span costs beside its bytes: its place in a map that may be half empty, and the allocation.
const SPAN_OVERHEAD: usize = 144;
/// What one trace costs beside its spans: its place in a map that may be half empty, in the queue, and a map of its own.
const TRACE_OVERHEAD: usize = 512;
/// What one process costs beside its bytes.
const PROCESS_OVERHEAD: usize = 256;
/// No browser draws more than this; beyond it one endless trace would push out all the others.
const MAX_SPANS_PER_TRACE: usize = 50_000;
/// The share of the memory that names may have.
const NAMES_SHARE: usize = 16;

/// What the store may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all that is kept: spans, processes and names, with what it costs to keep them.
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
    bytes: Arc<[u8]>,
}

impl Process {
    /// All it says about itself.
    pub fn resource(&self) -> Resource {
        Resource::decode(&*self.bytes).unwrap_or_default()
    }

    fn cost(&self) -> usize {
        self.bytes.len() + self.service.len() + PROCESS_OVERHEAD
    }
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
    start_ns: u64,
    end_ns: u64,
}

/// All traces kept.
pub struct Store {
    traces: HashMap<TraceId, Trace>,
    by_arrival: VecDeque<TraceId>,
    processes: HashMap<Arc<[u8]>, Arc<Process>>,
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

    /// The number of its spans that are kept.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Its spans in any order, each decoded when it comes.
    pub fn each(&self) -> impl Iterator<Item = SpanOf> {
        self.spans.values().filter_map(Kept::decode)
    }

    /// Its spans, earliest first, each decoded when it comes.
    pub fn in_order(&self) -> impl Iterator<Item = SpanOf> {
        let mut spans: Vec<&Kept> = self.spans.values().collect();
        spans.sort_by_key(|kept| (kept.start_ns, kept.end_ns));
        spans.into_iter().filter_map(Kept::decode)
    }

    /// The processes of its spans, each once.
    fn processes(&self) -> Vec<Arc<Process>> {
        let mut processes: Vec<Arc<Process>> = Vec::new();
        for kept in self.spans.values() {
            if !processes.iter().any(|known| Arc::ptr_eq(known, &kept.process)) {
                processes.push(Arc::clone(&kept.process));
            }
        }
        processes
    }

    fn add(&mut self, id: SpanId, span: &Span, process: Arc<Process>) {
        if self.spans.len() >= MAX_SPANS_PER_TRACE && !self.spans.contains_key(&id) {
            self.over_limit += 1;
            return;
        }
        let kept = Kept {
            bytes: span.encode_to_vec().into_boxed_slice(),
            process,
            start_ns: span.start_time_unix_nano,
            end_ns: span.end_time_unix_nano,
        };
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
            names: Names::new(limits.bytes / NAMES_SHARE),
            bytes: 0,
            // What names may have is no longer there for traces.
            limits: Limits { bytes: limits.bytes - limits.bytes / NAMES_SHARE, ..limits },
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
        // One that has sent no span is none to keep.
        self.forget(process);
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
            let Some(oldest) = self.by_arrival.pop_front() else { break };
            if let Some(trace) = self.traces.remove(&oldest) {
                self.bytes -= trace.bytes + TRACE_OVERHEAD;
                let processes = trace.processes();
                drop(trace);
                processes.into_iter().for_each(|process| self.forget(process));
            }
        }
        // A map keeps the room it once needed.
        if self.traces.capacity() > 4 * self.traces.len() + 1024 {
            self.traces.shrink_to_fit();
            self.by_arrival.shrink_to_fit();
        }
    }

    /// Every batch of a process repeats the same resource: keep one.
    fn process(&mut self, resource: Resource) -> Arc<Process> {
        let key: Arc<[u8]> = resource.encode_to_vec().into();
        if let Some(known) = self.processes.get(&key) {
            return Arc::clone(known);
        }
        let process =
            Arc::new(Process { service: crate::jaeger::service_name(&resource), bytes: Arc::clone(&key) });
        self.bytes += process.cost();
        self.processes.insert(key, Arc::clone(&process));
        process
    }

    /// Lets go of a process that no span refers to any more.
    fn forget(&mut self, process: Arc<Process>) {
        // The map's and ours.
        if Arc::strong_count(&process) <= 2 && self.processes.remove(&process.bytes).is_some() {
            self.bytes -= process.cost();
        }
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
    use otlp_embedded::proto::common::v1::KeyValue;
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
        let mut store = Store::new(Limits { bytes: 16_000, traces: usize::MAX });
        for trace in 1..=100 {
            store.add(sent(trace, 1..5));
            assert!(store.bytes <= 16_000);
        }
        assert!(store.traces.len() > 2 && store.traces.len() < 20, "{} traces", store.traces.len());
        store.limits.bytes = 0;
        store.evict();
        assert_eq!((store.traces.len(), store.processes.len(), store.bytes), (0, 0, 0));
    }

    #[test]
    fn processes_and_names_count_and_go_with_their_traces() {
        let mut store = Store::new(Limits { bytes: 100_000, traces: usize::MAX });
        for n in 0..1_000u32 {
            let mut sent = sent((n % 200) as u8 + 1, 1..3);
            let attribute = KeyValue { key: format!("{n} {}", "x".repeat(5_000)), ..KeyValue::default() };
            sent.resource = Some(Resource { attributes: vec![attribute], ..Resource::default() });
            sent.scope_spans[0].spans[0].name = format!("{n} {}", "y".repeat(1_000));
            store.add(sent);
            let kept: usize = store.processes.values().map(|process| process.cost()).sum();
            assert!(kept <= store.bytes && store.bytes <= 100_000, "{kept} of {}", store.bytes);
        }
        let names: usize = store.names.operations("unknown_service").map(|(name, _)| name.len()).sum();
        assert!(names > 0 && names <= 100_000 / NAMES_SHARE, "{names}");
        store.limits.bytes = 0;
        store.evict();
        assert_eq!((store.processes.len(), store.bytes), (0, 0));
    }

    #[test]
    fn a_span_sent_twice_is_there_once() {
        let mut store = Store::new(Limits { bytes: usize::MAX, traces: 9 });
        store.add(sent(1, 1..4));
        let bytes = store.bytes;
        store.add(sent(1, 1..4));
        assert_eq!(store.bytes, bytes);
        assert_eq!(store.get(&[1; 16]).map(Trace::len), Some(3));
    }

    #[test]
    fn a_span_without_ids_is_refused_and_counted() {
        let mut store = Store::new(Limits { bytes: usize::MAX, traces: 9 });
        assert_eq!(store.add(sent(0, 0..1)), 1);
        assert_eq!(store.traces.len(), 0);
    }
}
