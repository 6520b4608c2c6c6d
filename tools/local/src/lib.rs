//! The local installation of a checkout, as the targets of the Makefile and `tpro local` make it: a
//! private PostgreSQL, a nats-server, the trace viewer and the copies of services.
#![forbid(unsafe_code)]

pub mod cargo;
pub mod checkout;
pub mod chosen;
pub mod cluster;
pub mod cluster_files;
pub mod console;
pub mod digest;
pub mod env_file;
pub mod environment;
pub mod extension;
pub mod extension_files;
pub mod failure;
pub mod http;
pub mod install_extension;
pub mod installation;
pub mod jaeger;
pub mod libpq;
pub mod lock;
pub mod nats;
pub mod nats_users;
pub mod pg_config;
pub mod place;
pub mod port;
pub mod process;
pub mod progress;
pub mod psql;
pub mod say;
pub mod secret;
pub mod services;
pub mod settings;
pub mod state;
