//! The only part that knows PostgreSQL and NATS: the statements of the leader's session, and the messages as they go on the wire.

pub(crate) mod binary;
pub(crate) mod headers;
pub(crate) mod leader;
pub(crate) mod outbox;
pub(crate) mod recovery;
pub(crate) mod row;
pub(crate) mod sender;
pub(crate) mod stuck;
pub(crate) mod write;
