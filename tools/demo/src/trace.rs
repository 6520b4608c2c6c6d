//! A trace as Jaeger's API answers it, and the checks of its shape.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

/// The last span of every message.
const SETTLE: &str = "settle";

/// One trace.
pub struct Trace {
    spans: Vec<Span>,
}

struct Span {
    id: String,
    name: String,
    parent: Option<String>,
    service: String,
    from_us: u64,
    to_us: u64,
    database: bool,
    backend: Option<i64>,
}

impl Trace {
    /// Reads one member of `data`.
    pub fn read(trace: &Value) -> Self {
        let spans = trace["spans"].as_array().map(Vec::as_slice).unwrap_or_default();
        Self { spans: spans.iter().map(|span| Span::read(span, &trace["processes"])).collect() }
    }

    /// Whole: one root, every other span's parent is there, and so is the last span, that of the
    /// reply's row.
    pub fn whole(&self) -> Result<(), String> {
        if !self.spans.iter().any(|span| span.name == SETTLE) {
            return Err(format!("{} spans, none of them {SETTLE}", self.spans.len()));
        }
        let ids: HashSet<&str> = self.spans.iter().map(|span| span.id.as_str()).collect();
        let roots = self.spans.iter().filter(|span| span.parent.is_none()).count();
        let orphans = self
            .spans
            .iter()
            .filter(|s| s.parent.as_deref().is_some_and(|parent| !ids.contains(parent)))
            .count();
        match (roots, orphans) {
            (1, 0) => Ok(()),
            (roots, orphans) => Err(format!("{} spans, {roots} roots, {orphans} orphans", self.spans.len())),
        }
    }

    /// Whole, with spans of exactly these services.
    pub fn whole_of(&self, services: &[&str]) -> Result<(), String> {
        self.whole()?;
        let seen: BTreeSet<&str> = self.spans.iter().map(|span| span.service.as_str()).collect();
        let wanted: BTreeSet<&str> = services.iter().copied().collect();
        if seen == wanted { Ok(()) } else { Err(format!("spans of {seen:?}, not of {wanted:?}")) }
    }

    /// In this service, two queries under one parent overlap in time, in two backends of
    /// PostgreSQL.
    pub fn parallel_queries(&self, service: &str) -> Result<(), String> {
        let queries: Vec<&Span> =
            self.spans.iter().filter(|span| span.database && span.service == service).collect();
        let overlap = |a: &Span, b: &Span| {
            let together = a.from_us < b.to_us && b.from_us < a.to_us;
            a.parent == b.parent && together && a.backend.is_some() && a.backend != b.backend
        };
        let found = queries.iter().enumerate().any(|(at, a)| queries[at + 1..].iter().any(|b| overlap(a, b)));
        if found { Ok(()) } else { Err(format!("no two queries of {service} overlap in two backends")) }
    }

    /// The number of spans.
    pub fn len(&self) -> usize {
        self.spans.len()
    }
}

impl Span {
    fn read(span: &Value, processes: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let from_us = span["startTime"].as_u64().unwrap_or_default();
        Self {
            id: text(&span["spanID"]),
            name: text(&span["operationName"]),
            parent: list(&span["references"])
                .iter()
                .find(|reference| reference["refType"] == "CHILD_OF")
                .map(|reference| text(&reference["spanID"])),
            service: text(&processes[text(&span["processID"])]["serviceName"]),
            from_us,
            to_us: from_us + span["duration"].as_u64().unwrap_or_default(),
            backend: list(&span["tags"])
                .iter()
                .find(|tag| tag["key"] == "tpro.backend_pid")
                .and_then(|tag| tag["value"].as_i64()),
            database: list(&span["tags"]).iter().any(|tag| text(&tag["key"]).starts_with("db.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn span(id: &str, parent: Option<&str>, service: &str, from: u64, to: u64) -> Value {
        let references: Vec<_> =
            parent.iter().map(|id| json!({ "refType": "CHILD_OF", "spanID": id })).collect();
        json!({ "spanID": id, "operationName": "settle", "processID": service, "references": references, "startTime": from,
                "duration": to - from, "tags": [
                    { "key": "db.system.name", "value": "postgresql" },
                    { "key": "tpro.backend_pid", "value": from },
                ] })
    }

    fn trace(spans: Vec<Value>) -> Trace {
        Trace::read(&json!({ "spans": spans, "processes":
            { "main": { "serviceName": "main" }, "co": { "serviceName": "co" } } }))
    }

    #[test]
    fn an_orphan_and_a_second_root_are_seen() {
        let root = || span("a", None, "main", 0, 9);
        assert!(trace(vec![root(), span("b", Some("a"), "co", 1, 2)]).whole_of(&["co", "main"]).is_ok());
        assert!(trace(vec![root(), span("b", Some("x"), "co", 1, 2)]).whole().is_err());
        assert!(trace(vec![root(), span("b", None, "co", 1, 2)]).whole().is_err());
        assert!(trace(vec![root()]).whole_of(&["co", "main"]).is_err());
    }

    #[test]
    fn queries_one_after_the_other_are_not_parallel() {
        let queries = |from| {
            trace(vec![
                span("a", None, "main", 0, 9),
                span("b", Some("a"), "co", 1, 5),
                span("c", Some("a"), "co", from, 8),
            ])
        };
        assert!(queries(4).parallel_queries("co").is_ok());
        assert!(queries(1).parallel_queries("co").is_err(), "one backend cannot run two queries");
        assert!(queries(5).parallel_queries("co").is_err());
        assert!(queries(4).parallel_queries("main").is_err());
    }
}
