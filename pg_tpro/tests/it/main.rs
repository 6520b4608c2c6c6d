//! The extension in a real PostgreSQL: what its functions do and refuse, who may call them, when the bell rings.
//!
//! One binary for all, so that they share one cluster and one compilation. Each test has a database of its own.

mod agreement;
mod backlog;
mod batches;
mod bell;
mod catalogue;
mod check_bodies;
mod comments;
mod demo;
mod description;
mod faults;
mod handle;
mod holds;
mod identity;
mod keys;
mod later;
mod later_ends;
mod lead;
mod listener;
mod logins;
mod memory;
mod methods;
mod on_reply;
mod ordering_key;
mod ownership;
mod partitions;
mod priority;
mod publish;
mod publish_many;
mod publish_once;
mod publish_once_races;
mod refusal;
mod reply_function;
mod restores;
mod roles;
mod rules;
mod savepoints;
mod service;
mod statements;
mod upgrades;
mod wait;
mod wait_many;
mod waiters;
mod watching;
