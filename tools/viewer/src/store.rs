//! The traces kept, within a limit of memory and number; the oldest go first.
//!
//! A span is kept as the bytes it came in and decoded when somebody looks: it is then several times
//! smaller than the decoded form, and its size is known instead of guessed.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use otlp_embedded::proto::resource::v1::Resource;
use otlp_embedded::proto::trace::v1::Span;
use otlp_embedded::proto::trace::v1::span::SpanKind;
use prost::Message as _;

use crate::names::Names;
use crate::service::service_name;
use crate::wire::{Fields, Malformed, Value};

/// 16 bytes, as in W3C Trace Context.
pub type TraceId = [u8; 16];
/// 8 bytes, as in W3C Trace Context.
pub type SpanId = [u8; 8];

/// The memory of a span beside its bytes: its place in a map that may be half empty, and the
/// allocation.
const SPAN_OVERHEAD: usize = 144;
/// The memory of a trace beside its spans: its place in a map that may be half empty, in the queue,
/// and a map of its own.
const TRACE_OVERHEAD: usize = 512;
/// The memory of a process beside its bytes.
const PROCESS_OVERHEAD: usize = 256;
/// Fields of `ResourceSpans`, and of `ScopeSpans`.
const RESOURCE: u64 = 1;
const SCOPE_SPANS: u64 = 2;
const SPANS: u64 = 2;
/// The largest span and the largest process, in bytes: decoded, to be shown, they can take thirty
/// times as much.
const MAX_PART: usize = 64 * 1024;
/// No browser draws more than this; beyond it one endless trace would push out all the others.
const MAX_SPANS_PER_TRACE: usize = 50_000;
/// The share of the memory that names may have.
const NAMES_SHARE: usize = 16;

/// The limits of the store.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all that is kept: spans, processes and names, with the memory that it takes to keep
    /// them.
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
    /// All its attributes.
    pub fn resource(&self) -> Resource {
        Resource::decode(&*self.bytes).unwrap_or_default()
    }

    fn cost(&self) -> usize {
        self.bytes.len() + self.service.len() + PROCESS_OVERHEAD
    }
}

/// The spans of one trace that have arrived, in any order.
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

    /// True if a span of this service is in it; decodes nothing.
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

    fn add(&mut self, head: &Head<'_>, bytes: &[u8], process: Arc<Process>) {
        if self.spans.len() >= MAX_SPANS_PER_TRACE && !self.spans.contains_key(&head.span_id) {
            self.over_limit += 1;
            return;
        }
        let kept = Kept { bytes: bytes.into(), process, start_ns: head.start_ns, end_ns: head.end_ns };
        self.bytes += kept.cost();
        self.start_ns = match self.spans.is_empty() {
            true => head.start_ns,
            false => self.start_ns.min(head.start_ns),
        };
        // An exporter that repeats a batch sends a span again: the later one takes its place.
        if let Some(before) = self.spans.insert(head.span_id, kept) {
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
            // The memory of names is no longer there for traces.
            limits: Limits { bytes: limits.bytes - limits.bytes / NAMES_SHARE, ..limits },
        }
    }

    /// Takes the spans of one process, a message `ResourceSpans`. Answers how many spans were
    /// refused, for a bad id or for their size.
    pub fn add(&mut self, sent: &[u8]) -> Result<usize, Malformed> {
        // The process may stand behind its spans.
        let mut resource: &[u8] = &[];
        for field in Fields::of(sent) {
            if let (RESOURCE, Value::Bytes(bytes)) = field? {
                resource = bytes;
            }
        }
        let process = (resource.len() <= MAX_PART).then(|| self.process(resource));
        let refused = self.add_spans(sent, process.as_ref());
        // One that has sent no span is none to keep.
        process.into_iter().for_each(|process| self.forget(process));
        refused
    }

    fn add_spans(&mut self, sent: &[u8], process: Option<&Arc<Process>>) -> Result<usize, Malformed> {
        let mut refused = 0;
        for scope in Fields::of(sent) {
            let (SCOPE_SPANS, Value::Bytes(scope)) = scope? else { continue };
            for span in Fields::of(scope) {
                let (SPANS, Value::Bytes(span)) = span? else { continue };
                match (Head::of(span)?, process) {
                    (Some(head), Some(process)) if span.len() <= MAX_PART => {
                        self.add_span(&head, span, Arc::clone(process))
                    }
                    _ => refused += 1,
                }
            }
        }
        Ok(refused)
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

    fn add_span(&mut self, head: &Head<'_>, span: &[u8], process: Arc<Process>) {
        self.names.saw(&process.service, head.name, head.kind);
        let trace = self.traces.entry(head.trace_id).or_insert_with(|| {
            self.by_arrival.push_back(head.trace_id);
            self.bytes += TRACE_OVERHEAD;
            Trace::default()
        });
        let before = trace.bytes;
        trace.add(head, span, process);
        self.bytes = self.bytes + trace.bytes - before;
        // At once: a message of many small spans takes several times its size here.
        self.evict();
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
    fn process(&mut self, resource: &[u8]) -> Arc<Process> {
        if let Some(known) = self.processes.get(resource) {
            return Arc::clone(known);
        }
        let key: Arc<[u8]> = resource.into();
        let service = service_name(&Resource::decode(resource).unwrap_or_default());
        let process = Arc::new(Process { service, bytes: Arc::clone(&key) });
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

/// The members of a span that the store itself needs.
struct Head<'a> {
    trace_id: TraceId,
    span_id: SpanId,
    name: &'a str,
    kind: SpanKind,
    start_ns: u64,
    end_ns: u64,
}

impl<'a> Head<'a> {
    /// Of a message `Span`; none if its ids are none: of another length, or all zero.
    fn of(span: &'a [u8]) -> Result<Option<Self>, Malformed> {
        let (mut trace_id, mut span_id, mut name): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
        let (mut kind, mut start_ns, mut end_ns) = (SpanKind::Unspecified, 0, 0);
        for field in Fields::of(span) {
            match field? {
                (1, Value::Bytes(bytes)) => trace_id = bytes,
                (2, Value::Bytes(bytes)) => span_id = bytes,
                (5, Value::Bytes(bytes)) => name = bytes,
                (6, Value::Number(number)) => {
                    kind =
                        i32::try_from(number).ok().and_then(|number| number.try_into().ok()).unwrap_or(kind);
                }
                (7, Value::Fixed(number)) => start_ns = number,
                (8, Value::Fixed(number)) => end_ns = number,
                _ => {}
            }
        }
        let name = std::str::from_utf8(name).map_err(|_| Malformed)?;
        let ids = <TraceId>::try_from(trace_id).ok().zip(<SpanId>::try_from(span_id).ok());
        let ids = ids.filter(|(trace_id, span_id)| *trace_id != [0; 16] && *span_id != [0; 8]);
        Ok(ids.map(|(trace_id, span_id)| Self { trace_id, span_id, name, kind, start_ns, end_ns }))
    }
}

#[cfg(test)]
mod tests {
    use otlp_embedded::proto::common::v1::KeyValue;
    use otlp_embedded::proto::trace::v1::{ResourceSpans, ScopeSpans};

    use super::*;

    /// Adds the spans, and returns the number that the store refuses.
    fn add(store: &mut Store, sent: &ResourceSpans) -> usize {
        store.add(&sent.encode_to_vec()).expect("well-formed")
    }

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
            add(&mut store, &sent(trace, 1..3));
        }
        assert!(store.get(&[1; 16]).is_none());
        assert_eq!(store.latest().map(|(id, _)| id[0]).collect::<Vec<_>>(), [3, 2]);
    }

    #[test]
    fn memory_stays_within_its_limit_and_is_given_back() {
        let mut store = Store::new(Limits { bytes: 16_000, traces: usize::MAX });
        for trace in 1..=100 {
            add(&mut store, &sent(trace, 1..5));
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
            add(&mut store, &sent);
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
        add(&mut store, &sent(1, 1..4));
        let bytes = store.bytes;
        add(&mut store, &sent(1, 1..4));
        assert_eq!(store.bytes, bytes);
        assert_eq!(store.get(&[1; 16]).map(Trace::len), Some(3));
    }

    #[test]
    fn a_span_without_ids_is_refused_and_counted() {
        let mut store = Store::new(Limits { bytes: usize::MAX, traces: 9 });
        assert_eq!(add(&mut store, &sent(0, 0..1)), 1);
        assert_eq!(store.traces.len(), 0);
    }

    #[test]
    fn a_span_or_a_process_that_is_too_large_is_refused_and_counted() {
        let mut store = Store::new(Limits { bytes: usize::MAX, traces: 9 });
        let mut large = sent(1, 1..3);
        large.scope_spans[0].spans[0].name = "x".repeat(MAX_PART);
        assert_eq!(add(&mut store, &large), 1);
        assert_eq!(store.get(&[1; 16]).map(Trace::len), Some(1));
        let attribute = KeyValue { key: "x".repeat(MAX_PART), ..KeyValue::default() };
        let mut large = sent(2, 1..3);
        large.resource = Some(Resource { attributes: vec![attribute], ..Resource::default() });
        assert_eq!(add(&mut store, &large), 2);
        assert!(store.get(&[2; 16]).is_none());
        assert_eq!(store.add(&[0x12, 9, 1]), Err(Malformed));
    }

    #[test]
    fn what_is_read_of_a_span_is_what_stands_in_it() {
        let mut store = Store::new(Limits { bytes: usize::MAX, traces: 9 });
        let mut sent = sent(1, 1..2);
        let span = &mut sent.scope_spans[0].spans[0];
        (span.kind, span.end_time_unix_nano) = (SpanKind::Server as i32, 7);
        span.attributes = vec![KeyValue { key: "a".to_owned(), ..KeyValue::default() }];
        add(&mut store, &sent);
        let kept = store.get(&[1; 16]).expect("it is kept");
        assert_eq!(kept.each().map(|of| of.span).collect::<Vec<_>>(), [sent.scope_spans[0].spans[0].clone()]);
        assert_eq!((kept.start_ns(), kept.len()), (1, 1));
        assert_eq!(store.names().operations("unknown_service").collect::<Vec<_>>(), [("span 1", "server")]);
    }
}
