//! The calls between services: the picture of the whole system, from the kept traces.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use crate::store::Store;

/// Calls from one service to another, counted over the traces that start in the span of time
/// (microseconds).
pub fn between(store: &Store, start_us: u64, end_us: u64) -> Vec<Value> {
    let mut calls: BTreeMap<(String, String), u64> = BTreeMap::new();
    for (_, trace) in store.latest() {
        if !(start_us..=end_us).contains(&(trace.start_ns() / 1_000)) {
            continue;
        }
        // Only these members of each span: a large trace is not decoded as a whole.
        let spans: Vec<_> =
            trace.each().map(|of| (of.span.span_id, of.span.parent_span_id, of.process)).collect();
        let services: HashMap<&[u8], &str> =
            spans.iter().map(|(id, _, process)| (id.as_slice(), process.service.as_str())).collect();
        for (_, parent, process) in &spans {
            if let Some(&caller) = services.get(parent.as_slice())
                && caller != process.service
            {
                *calls.entry((caller.to_owned(), process.service.clone())).or_default() += 1;
            }
        }
    }
    calls
        .into_iter()
        .map(|((parent, child), count)| json!({ "parent": parent, "child": child, "callCount": count }))
        .collect()
}
