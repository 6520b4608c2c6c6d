//! The local installation of a checkout, as the targets of the Makefile and `tpro local` make it: a
//! private PostgreSQL, a nats-server, the trace viewer and the copies of services.
#![forbid(unsafe_code)]

pub mod address;
pub mod all;
pub mod cargo;
pub mod checkout;
pub mod checks;
pub mod chosen;
pub mod clean;
pub mod cluster;
pub mod cluster_files;
pub mod console;
pub mod copy;
pub mod crates;
pub mod demo;
pub mod digest;
pub mod down_all;
pub mod env_file;
pub mod environment;
pub mod extension;
pub mod extension_files;
pub mod faults;
pub mod install_extension;
pub mod installation;
pub mod jaeger;
pub mod libpq;
pub mod load;
pub mod lock;
pub mod nats;
pub mod nats_users;
pub mod new_service;
pub mod pg_config;
pub mod place;
pub mod port;
pub mod process;
pub mod progress;
pub mod psql;
pub mod ready;
pub mod release;
pub mod replace;
pub mod roll;
pub mod say;
pub mod schema;
pub mod service;
pub mod service_settings;
pub mod services;
pub mod settings;
pub mod setup;
pub mod sql_check;
pub mod state;
pub mod status;
pub mod test;
pub mod test_log;
pub mod test_run;

pub use tpro_servers::{failure, http, secret};
