//! The search of the UI's first page: traces by service, operation, tags, time and duration.

use otlp_embedded::proto::trace::v1::Span;
use serde_json::{Map, Value};

use crate::jaeger::tags;
use crate::store::{SpanOf, Trace};

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 1_500;

/// A search as asked. One span of a trace has to fit all that is said about spans.
#[derive(Debug, Default)]
pub struct Search {
    service: Option<String>,
    operation: Option<String>,
    tags: Map<String, Value>,
    start_us: Option<u64>,
    end_us: Option<u64>,
    min_us: Option<u64>,
    max_us: Option<u64>,
    /// Ids asked for by name; then the rest does not matter.
    pub ids: Vec<String>,
    /// The largest number of traces.
    pub limit: usize,
}

impl Search {
    /// Reads the query's pairs. The error is a sentence that names the pair.
    pub fn parse(pairs: Vec<(String, String)>) -> Result<Self, String> {
        let mut search = Self { limit: DEFAULT_LIMIT, ..Self::default() };
        for (key, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            let bad = |what: &str| format!("{key}: {what}");
            match key.as_str() {
                "service" => search.service = Some(value),
                "operation" if value != "all" => search.operation = Some(value),
                "tags" => {
                    search.tags = serde_json::from_str(&value).map_err(|_| bad("not an object of tags"))?;
                }
                "tag" => {
                    let (name, wanted) = value.split_once(':').ok_or_else(|| bad("not name:value"))?;
                    search.tags.insert(name.to_owned(), wanted.into());
                }
                "start" => search.start_us = Some(value.parse().map_err(|_| bad("not microseconds"))?),
                "end" => search.end_us = Some(value.parse().map_err(|_| bad("not microseconds"))?),
                "minDuration" => {
                    search.min_us = Some(duration_us(&value).ok_or_else(|| bad("not a duration"))?)
                }
                "maxDuration" => {
                    search.max_us = Some(duration_us(&value).ok_or_else(|| bad("not a duration"))?)
                }
                "limit" => search.limit = value.parse().map_err(|_| bad("not a number"))?,
                "traceID" => search.ids.push(value),
                _ => {}
            }
        }
        search.limit = search.limit.min(MAX_LIMIT);
        Ok(search)
    }

    /// True if the trace is one of those searched for. It decodes the spans only where that is
    /// needed.
    pub fn fits(&self, trace: &Trace) -> bool {
        let start_us = trace.start_ns() / 1_000;
        let in_time =
            self.start_us.is_none_or(|from| start_us >= from) && self.end_us.is_none_or(|to| start_us <= to);
        let of_service = self.service.as_deref().is_none_or(|service| trace.has_service(service));
        in_time && of_service && (!self.looks_into_spans() || trace.each().any(|of| self.span_fits(&of)))
    }

    fn looks_into_spans(&self) -> bool {
        self.operation.is_some() || !self.tags.is_empty() || self.min_us.is_some() || self.max_us.is_some()
    }

    fn span_fits(&self, of: &SpanOf) -> bool {
        let span = &of.span;
        let duration_us = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano) / 1_000;
        self.service.as_ref().is_none_or(|service| *service == of.process.service)
            && self.operation.as_ref().is_none_or(|operation| *operation == span.name)
            && self.min_us.is_none_or(|least| duration_us >= least)
            && self.max_us.is_none_or(|most| duration_us <= most)
            && self.tags_fit(span)
    }

    fn tags_fit(&self, span: &Span) -> bool {
        if self.tags.is_empty() {
            return true;
        }
        let has = tags(span);
        self.tags
            .iter()
            .all(|(key, wanted)| has.iter().any(|tag| tag.key == key && tag.as_text() == as_text(wanted)))
    }
}

/// The UI sends every wanted value as a string, for a tag of any type.
fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Microseconds of `1.2s`, `100ms`, `500us`, `1m`, `1h`.
fn duration_us(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor = match &text[digits.len()..] {
        "us" | "µs" => 1.0,
        "ms" => 1_000.0,
        "s" => 1_000_000.0,
        "m" => 60_000_000.0,
        "h" => 3_600_000_000.0,
        _ => return None,
    };
    let number: f64 = digits.parse().ok()?;
    // Saturates, and is never negative: "-1s" asks for nothing less than zero.
    Some((number * factor) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Search, String> {
        Search::parse(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn durations_are_read_as_the_ui_writes_them() {
        for (text, us) in [("1.5ms", 1_500), ("100us", 100), ("2s", 2_000_000), ("1m", 60_000_000)] {
            assert_eq!(duration_us(text), Some(us), "{text}");
        }
        assert_eq!(duration_us("soon"), None);
    }

    #[test]
    fn a_bad_pair_is_named() {
        assert_eq!(parse(&[("limit", "many")]).map(|_| ()), Err("limit: not a number".to_owned()));
        assert_eq!(parse(&[("tags", "error")]).map(|_| ()), Err("tags: not an object of tags".to_owned()));
    }

    #[test]
    fn empty_and_unknown_pairs_are_left_out() {
        let search = parse(&[("service", ""), ("lookback", "1h"), ("operation", "all")]).unwrap_or_default();
        assert!(search.service.is_none() && search.operation.is_none());
        assert_eq!(search.limit, DEFAULT_LIMIT);
    }
}
