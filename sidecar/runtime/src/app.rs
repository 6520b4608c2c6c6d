//! What every part of a running sidecar stands on, in one place.

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
    /// Who we are on the wire: service and instance of the database.
    pub source: Source,
    /// Which copy answers: service, version, copy number.
    pub responder: Responder,
    /// A random number (31 bits) of this process: its presence lock and the nonce of its direct replies.
    pub copy_key: i32,
    /// What only copies of this service can sign.
    pub keys: Keys,
    /// The connection to NATS.
    pub nats: async_nats::Client,
    /// The way to the NATS server, and what the server has said.
    pub link: nats::Link,
    /// `tpro.max_body`: bytes of the largest body that the database lets through.
    pub max_body: Arc<AtomicUsize>,
    /// Whether this copy has joined its queue group.
    pub serves: Arc<AtomicBool>,
    /// Where the database is.
    pub servers: Arc<Servers>,
    /// Connections for handlers and reply handlers.
    pub pool: Pool,
    /// The time by the database's clock.
    pub clock: Clock,
    /// Where spans go.
    pub spans: Spans,
    /// What is counted of the database.
    pub db_counts: db::DbCounts,
    /// Readiness by named checks.
    pub health: Health,
    /// The tokens and the task tracker of this process.
    pub stop: Stop,
}

impl App {
    /// Bytes that an answer may have: what is configured, and never more than NATS lets through beside the headers.
    pub fn reply_max(&self) -> usize {
        self.config.limits.reply.min(self.nats.max_payload().saturating_sub(nats::ENVELOPE))
    }

    /// Whether a message published now would go out now; while disconnected it would wait in the client and be sent
    /// afterwards, as a ghost of a request that may be settled by then.
    pub fn is_connected(&self) -> bool {
        nats::is_connected(&self.nats)
    }
}
