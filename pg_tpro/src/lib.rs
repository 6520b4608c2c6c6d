//! The PostgreSQL extension of tpro: `publish`, the rules of a row, the bell, leadership, waiting.
//!
//! It is loaded into the backends that use it. It opens no socket and starts no thread, so a
//! backend never waits for a network. Its SQL objects are declared by hand in
//! `sql/pg_tpro--0.1.1.sql`; a function `f` here is `f_wrapper` there. A function checks its
//! arguments, calls pure code (crate `tpro-wire`), and converts.
//!
//! This is the only crate of the project with unsafe code. Two rules keep it sound. PostgreSQL is
//! called only through pgrx's bindings, which turn its errors (`longjmp`) into Rust panics at the
//! boundary. Each function that PostgreSQL calls is guarded, so that a panic becomes a PostgreSQL
//! error there.

use pgrx::prelude::*;

mod backlog;
mod bell;
mod bodies;
mod check;
mod fault;
mod json;
mod lead;
mod lock;
mod mint;
mod plan;
mod publish;
mod quiet;
mod random;
mod refusal;
mod reply_function;
mod service;
mod settings;
mod version;
mod waiters;

pgrx::pg_module_magic!(name, version);

/// PostgreSQL calls it once in each backend that loads the library.
#[pg_guard]
#[allow(non_snake_case)]
pub extern "C-unwind" fn _PG_init() {
    quiet::no_backtraces();
    settings::define();
    bell::listen_to_transactions();
}
