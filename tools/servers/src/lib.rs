//! Servers on one machine, for the local installation (`tpro-local`) and for the kit of the tests
//! (`tpro-testkit`): a private PostgreSQL with the extension, the account that it runs under, the
//! users of nats-server, processes, secrets, and one GET.
//!
//! Nothing here knows where servers lie, how long they live, or who is told of it: a checkout keeps
//! its servers, and a test ends them.
#![forbid(unsafe_code)]

pub mod account;
pub mod cluster;
pub mod extension;
pub mod failure;
pub mod files;
pub mod http;
pub mod nats;
pub mod pg_config;
pub mod process;
pub mod secret;
pub mod tree;
