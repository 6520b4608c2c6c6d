//! The ground of tests: a real PostgreSQL with the extension, a real nats-server, the real
//! binaries, a trace collector and a faulty network, and the means to break them. Nothing here is a
//! mock.
//!
//! A test starts a [`World`], publishes into it, and ends with [`World::finish`], which asks the
//! oracle ([`recon`]) if the promise was kept. A world that is dropped before it is finished prints
//! the ends of its processes' logs.
//!
//! Nothing that is started here outlives the test process, even when that is killed: see
//! [`process::Process`].
#![forbid(unsafe_code)]

pub mod certificates;
pub mod collector;
pub mod database;
pub mod eventually;
pub mod failure;
pub mod go;
pub mod http;
pub mod installation;
pub mod listen;
pub mod message;
pub mod nats;
pub mod paths;
pub mod pooler;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod recon;
pub mod sidecar;
pub mod span;
pub mod testing;
pub mod times;
pub mod world;

pub use collector::Collector;
pub use database::Database;
pub use eventually::{eventually, eventually_some};
pub use failure::{Context, Failure, Outcome};
pub use go::{GoAnswer, GoCopy, GoOutbox, GoRequester};
pub use listen::{heard, listen};
pub use message::{Message, Reply};
pub use nats::Nats;
pub use postgres::{Postgres, StopMode};
pub use process::{Process, Signal};
pub use proxy::Proxy;
pub use recon::Recon;
pub use sidecar::{Sidecar, SidecarProcess};
pub use span::{Kind, SpanRecord, Trace};
pub use times::Times;
pub use tpro_servers::account;
pub use tpro_testkit_macros::test;
pub use world::World;
