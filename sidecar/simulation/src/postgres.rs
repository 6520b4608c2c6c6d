//! A simulated PostgreSQL, as a pure and deterministic state machine.
//!
//! It has what the protocols rely on, as PostgreSQL 15 does it under READ COMMITTED: transaction ids and snapshots, commits
//! that become visible in any order, unique keys at which a second inserter waits, locks of sessions and of transactions,
//! notifications in the order of commits, prepared transactions, sequences that lose ids, sessions that are lost, and a log
//! from which a server begins again, whole or without its newest part. The tables are those of `sql/service.sql`, and the
//! statements are the product's. It runs one statement of a session at a time: a statement ends, or waits and is resumed.

mod callbacks;
mod commit;
mod execute;
mod heap;
mod holds;
mod inbox;
mod later;
mod leadership;
mod locks;
mod notify;
mod outbox;
mod recovery;
mod reply;
mod row;
mod sequence;
mod server;
mod session;
mod snapshot;
mod sqlstate;
mod statement;
#[cfg(test)]
mod tests;
mod transactions;
mod wal;
mod work;
mod writing;
mod xid;

pub use self::{
    locks::LockKind,
    notify::Note,
    row::{Backlog, Callbacks, Cursor, Hold, Later, Message, Outcome, Receive, Reply, Row, Service, Table},
    server::Server,
    session::SessionId,
    snapshot::Snapshot,
    sqlstate::SqlState,
    statement::{
        Answer, Holding, Known, LookedBack, NewMessage, Page, SentDue, Statement, Step, Taking, Unsettled,
        Window,
    },
    xid::Xid,
};
