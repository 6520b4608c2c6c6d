//! The services and operations seen, for the lists to choose from.

use std::collections::{BTreeMap, BTreeSet};

use otlp_embedded::proto::trace::v1::span::SpanKind;

/// Names are kept after their traces have gone; these limits keep a program that puts ids into names bounded.
const MAX_SERVICES: usize = 1_000;
const MAX_OPERATIONS: usize = 1_000;

/// Services, and the operations of each.
#[derive(Default)]
pub struct Names {
    operations: BTreeMap<String, BTreeSet<(String, &'static str)>>,
}

impl Names {
    /// Remembers a span's names.
    pub fn saw(&mut self, service: &str, operation: &str, kind: SpanKind) {
        if !self.operations.contains_key(service) {
            if self.operations.len() >= MAX_SERVICES {
                return;
            }
            self.operations.insert(service.to_owned(), BTreeSet::new());
        }
        if let Some(operations) = self.operations.get_mut(service)
            && operations.len() < MAX_OPERATIONS
        {
            operations.insert((operation.to_owned(), kind_name(kind)));
        }
    }

    /// The services, in order.
    pub fn services(&self) -> Vec<&str> {
        self.operations.keys().map(String::as_str).collect()
    }

    /// The operations of a service with their kinds, in order.
    pub fn operations(&self, service: &str) -> impl Iterator<Item = (&str, &'static str)> {
        self.operations.get(service).into_iter().flatten().map(|(name, kind)| (name.as_str(), *kind))
    }
}

/// A kind as Jaeger writes it; empty when the sender gave none.
pub fn kind_name(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "",
        SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    }
}
