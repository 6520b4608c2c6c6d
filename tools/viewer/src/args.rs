//! The command line.

use std::net::SocketAddr;

use crate::store::Limits;

/// Local trace viewer: OTLP in by gRPC, the Jaeger UI and its API out by HTTP. Keeps the last
/// traces in memory.
#[derive(Debug, clap::Parser)]
#[command(name = "tpro-viewer", version = env!("CARGO_PKG_VERSION"))]
pub struct Args {
    /// Address where spans come in (OTLP over gRPC).
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4317")]
    pub otlp: SocketAddr,

    /// Address of the Jaeger UI and its API (HTTP).
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:16686")]
    pub ui: SocketAddr,

    /// A further name under which the UI is called, beside localhost and addresses; may be given
    /// several times.
    #[arg(long, value_name = "NAME")]
    pub host: Vec<String>,

    /// Memory for all of it, in MiB: kept traces, arriving spans, and answers. The oldest traces go
    /// first.
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(32..))]
    pub max_memory_mb: u32,

    /// Traces kept; the oldest go first.
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_traces: u32,
}

/// The memory of the program itself, with its threads and connections.
const PROGRAM: usize = 24 << 20;

impl Args {
    /// The limits of the store: half of the memory that the program leaves.
    pub fn limits(&self) -> Limits {
        Limits { bytes: self.rest() / 2, traces: self.max_traces as usize }
    }

    /// The memory of answers: a fifth.
    pub fn answers(&self) -> usize {
        self.rest() / 5
    }

    /// The largest message that is taken. The specification leaves the size to the exporter; those
    /// of the SDKs send up to 512 spans at once.
    pub fn message(&self) -> usize {
        (self.rest() / 16).clamp(512 << 10, 16 << 20)
    }

    fn rest(&self) -> usize {
        (self.max_memory_mb as usize * 1024 * 1024).saturating_sub(PROGRAM)
    }
}
