//! The services and operations seen, for the lists to choose from.

use std::collections::{BTreeMap, BTreeSet};

use otlp_embedded::proto::trace::v1::span::SpanKind;

/// Names are kept after their traces have gone; these limits keep a program that puts ids into
/// names bounded.
const MAX_SERVICES: usize = 1_000;
const MAX_OPERATIONS: usize = 1_000;
/// The memory of a name beside its letters: its place in a tree, and the allocation.
const OVERHEAD: usize = 96;

/// Services, and the operations of each.
pub struct Names {
    operations: BTreeMap<String, BTreeSet<(String, &'static str)>>,
    /// Memory that is left for further names.
    room: usize,
}

impl Names {
    /// None yet, and so many bytes for those to come.
    pub fn new(room: usize) -> Self {
        Self { operations: BTreeMap::new(), room }
    }

    /// Remembers a span's names, if there is room.
    pub fn saw(&mut self, service: &str, operation: &str, kind: SpanKind) {
        if !self.operations.contains_key(service) {
            if self.operations.len() >= MAX_SERVICES || !self.takes(service) {
                return;
            }
            self.operations.insert(service.to_owned(), BTreeSet::new());
        }
        let kind = kind_name(kind);
        let known = |operations: &BTreeSet<(String, &'static str)>| {
            operations.len() >= MAX_OPERATIONS || operations.contains(&(operation.to_owned(), kind))
        };
        if self.operations.get(service).is_none_or(known) || !self.takes(operation) {
            return;
        }
        if let Some(operations) = self.operations.get_mut(service) {
            operations.insert((operation.to_owned(), kind));
        }
    }

    fn takes(&mut self, name: &str) -> bool {
        let left = self.room.checked_sub(name.len() + OVERHEAD);
        self.room = left.unwrap_or(self.room);
        left.is_some()
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
