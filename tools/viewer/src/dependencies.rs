//! Who calls whom: the picture of the whole system, from the traces kept.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use crate::store::Store;

/// Calls from one service to another, counted over the traces that start in the span of time (microseconds).
pub fn between(store: &Store, start_us: u64, end_us: u64) -> Vec<Value> {
    let mut calls: BTreeMap<(String, String), u64> = BTreeMap::new();
    for (_, trace) in store.latest() {
        if !(start_us..=end_us).contains(&(trace.start_ns() / 1_000)) {
            continue;
        }
        let spans = trace.spans();
        let services: HashMap<&[u8], &str> =
            spans.iter().map(|of| (of.span.span_id.as_slice(), of.process.service.as_str())).collect();
        for of in &spans {
            if let Some(&caller) = services.get(of.span.parent_span_id.as_slice())
                && caller != of.process.service
            {
                *calls.entry((caller.to_owned(), of.process.service.clone())).or_default() += 1;
            }
        }
    }
    calls
        .into_iter()
        .map(|((parent, child), count)| json!({ "parent": parent, "child": child, "callCount": count }))
        .collect()
}
