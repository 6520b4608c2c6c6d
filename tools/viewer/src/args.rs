//! The command line.

use std::net::SocketAddr;

use crate::store::Limits;

/// Local trace viewer: OTLP in by gRPC, the Jaeger UI and its API out by HTTP. Keeps the last traces in memory.
#[derive(Debug, clap::Parser)]
#[command(name = "tpro-viewer", version = env!("CARGO_PKG_VERSION"))]
pub struct Args {
    /// Where spans come in (OTLP over gRPC).
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4317")]
    pub otlp: SocketAddr,

    /// Where the Jaeger UI and its API are served (HTTP).
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:16686")]
    pub ui: SocketAddr,

    /// Memory for the spans kept, in MiB; the oldest traces go first.
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_memory_mb: u32,

    /// Traces kept; the oldest go first.
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_traces: u32,
}

impl Args {
    /// What the store may hold.
    pub fn limits(&self) -> Limits {
        Limits { bytes: self.max_memory_mb as usize * 1024 * 1024, traces: self.max_traces as usize }
    }
}
