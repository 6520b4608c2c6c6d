//! The ground that every part of a running sidecar stands on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize},
};

use tpro_wire::{responder::Responder, source::Source};

use crate::{
    clock::Clock,
    config::Config,
    db::{self, Pool, Servers},
    health::Health,
    keys::Keys,
    nats,
    shutdown::Stop,
    telemetry::Spans,
};

/// A running sidecar. Made once by `boot`, shared by every task.
#[derive(Clone)]
pub struct App {
    /// The effective configuration.
    pub config: Arc<Config>,
    /// The name of this service on the wire: service and instance of the database.
    pub source: Source,
    /// The name of this copy in replies: service, version, copy number.
    pub responder: Responder,
    /// A random number (31 bits) of this process: its presence lock and the nonce of its direct
    /// replies.
    pub copy_key: i32,
    /// The keys that only copies of this service have.
    pub keys: Keys,
    /// The connection to NATS.
    pub nats: nats::Client,
    /// The way to the NATS server, and the words of the server.
    pub link: nats::Link,
    /// `tpro.max_body`: bytes of the largest body that the database lets through.
    pub max_body: Arc<AtomicUsize>,
    /// True if this copy has joined its queue group.
    pub serves: Arc<AtomicBool>,
    /// The addresses of the database.
    pub servers: Arc<Servers>,
    /// Connections for handlers and reply handlers.
    pub pool: Pool,
    /// The time by the database's clock.
    pub clock: Clock,
    /// The way of spans to the collector.
    pub spans: Spans,
    /// The counts of the database.
    pub db_counts: db::DbCounts,
    /// Readiness by named checks.
    pub health: Health,
    /// The tokens and the task tracker of this process.
    pub stop: Stop,
}

impl App {
    /// Bytes that an answer may have: the configured limit, and never more than NATS lets through
    /// beside the headers.
    pub fn reply_max(&self) -> usize {
        self.config.limits.reply.min(self.nats.max_payload().saturating_sub(nats::ENVELOPE))
    }

    /// True if a message that is published now goes out now. While disconnected it would wait in
    /// the client and be sent afterwards, as a ghost of a request that may be settled by then.
    pub fn is_connected(&self) -> bool {
        self.nats.is_connected()
    }
}
