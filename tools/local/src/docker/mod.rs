//! The commands with RUNTIME=docker: images, and containers of the names that the users know.
//!
//! Everything is published on loopback and remembered in `.local/docker`, so that it runs beside a
//! native installation.

pub mod all;
pub mod compose;
pub mod console;
pub mod container;
pub mod containers;
pub mod context;
pub mod copy;
pub mod database;
pub mod demo;
pub mod engine;
pub mod environment;
pub mod extension;
pub mod image;
pub mod jaeger;
pub mod key_files;
pub mod major;
pub mod names;
pub mod nats;
pub mod network;
pub mod new_service;
pub mod opening;
pub mod postgres;
pub mod private;
pub mod ready;
pub mod release;
pub mod remove;
pub mod schema;
pub mod service;
pub mod service_file;
pub mod sql;
pub mod status;
