//! The rows of a service's tables, typed, and their keys.

use std::sync::Arc;

use super::{snapshot::Snapshot, xid::Xid};
use crate::time::Time;

/// A service of the database, by its place in the list of its services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service(pub usize);

/// A row of `mq_publish`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Number within the outbox.
    pub id: i64,
    /// Identity of the message everywhere.
    pub uid: u128,
    /// The publishing transaction.
    pub tx: Xid,
    /// The space and the service that is asked: `space.service`.
    pub lane: Arc<str>,
    /// The method: `entity.method_name`.
    pub method: Arc<str>,
    /// `jsonrpc` or `json`.
    pub protocol: Arc<str>,
    /// Seconds to wait for the reply; 0 makes it an event.
    pub timeout: i32,
    /// The moment of its INSERT.
    pub created_at: Time,
    /// The moment after which it is not worth sending.
    pub expires_at: Option<Time>,
    /// The record of a call that the service made itself.
    pub direct: bool,
    /// It names a label for its reply.
    pub reply_to: bool,
    /// 0 to 3, 3 first.
    pub priority: i32,
    /// Those of a lane with the same key are sent one after the other.
    pub key: Option<Arc<str>>,
    /// Headers, as text.
    pub headers: Arc<str>,
    /// Body, as text.
    pub body: Arc<str>,
}

/// A row of `mq_later`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Later {
    /// The message, as it goes into the outbox.
    pub message: Message,
    /// When it is to be sent.
    pub send_at: Time,
    /// It was deleted.
    pub gone: bool,
}

/// A row of `mq_reply`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The message's number.
    pub mq_id: i64,
    /// The message's uid.
    pub uid: u128,
    /// The final outcome.
    pub status: Arc<str>,
    /// The result of an ok reply, as text.
    pub result: Option<Arc<str>>,
    /// The error object of any other, as text.
    pub error: Option<Arc<str>>,
    /// The number of sends.
    pub attempts: i32,
}

/// A row of `mq_receive`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receive {
    /// The message.
    pub uid: u128,
    /// The number of the run; below zero it counts a repeat.
    pub run: i32,
    /// The copy that runs it.
    pub copy_key: i32,
    /// Who asks.
    pub source: Option<Arc<str>>,
    /// The subject it came by.
    pub target: Arc<str>,
    /// The attempt of the requester.
    pub attempt: i32,
    /// The moment of its INSERT.
    pub at: Time,
    /// The moment at which its owner stops.
    pub deadline: Time,
    /// The proof that a repeat must give.
    pub proof: Option<Arc<str>>,
}

/// A row of `mq_outcome`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The message.
    pub uid: u128,
    /// The run that made it.
    pub run: i32,
    /// The stored answer.
    pub answer: Arc<str>,
}

/// The row of `mq_cursor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Everything visible in it has been read.
    pub snapshot: Snapshot,
    /// Rows that were read and had no reply.
    pub pending: Vec<i64>,
    /// Nothing that is not visible in the snapshot has been sent.
    pub clean: bool,
}

/// The row of `mq_backlog`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Messages without a reply.
    pub unsettled: i64,
    /// The last id for which that holds.
    pub upto: i64,
}

/// The table `mq_callback`: the targets whose replies have a function. The simulation has one row
/// for all, since only their sum and the newest number count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Callbacks {
    /// Grows with each change.
    pub number: i64,
    /// A bit for each target.
    pub targets: u8,
}

impl Callbacks {
    /// True if replies of this target have a function.
    pub fn has(&self, target: usize) -> bool {
        self.targets >> target & 1 == 1
    }
}

/// A row of `mq_hold`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The message of the key that may be sent.
    pub id: i64,
    /// `space.service`.
    pub lane: Arc<str>,
    /// The ordering key.
    pub key: Arc<str>,
    /// It was deleted.
    pub gone: bool,
}

/// A row of any table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// Of the outbox.
    Publish(Message),
    /// Of what is sent later.
    Later(Later),
    /// A reply.
    Reply(Reply),
    /// Of the inbox: accepted.
    Receive(Receive),
    /// Of the inbox: answered.
    Outcome(Outcome),
    /// The effect of a handler for a message, in a table without a key of its own.
    Effect(u128),
    /// The one row of the cursor.
    Cursor(Cursor),
    /// The one row of the backlog.
    Backlog(Backlog),
    /// The one row of the callbacks.
    Callbacks(Callbacks),
    /// An ordering key that is held.
    Hold(Hold),
}

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// `mq_publish`.
    Publish,
    /// `mq_later`.
    Later,
    /// `mq_reply`.
    Reply,
    /// `mq_receive`.
    Receive,
    /// `mq_outcome`.
    Outcome,
    /// Effects of handlers.
    Effect,
    /// `mq_cursor`.
    Cursor,
    /// `mq_backlog`.
    Backlog,
    /// `mq_callback`.
    Callbacks,
    /// `mq_hold`.
    Hold,
}

/// The primary key of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The service whose table it is.
    pub service: Service,
    /// The table.
    pub table: Table,
    /// Its uid, where that leads the key.
    pub uid: u128,
    /// Its number, where it has one.
    pub number: i64,
}

impl Row {
    /// Its key in the tables of a service. An effect takes the writing transaction in place of a key.
    pub fn key(&self, service: Service, by: Xid) -> Key {
        let key = |table, uid, number| Key { service, table, uid, number };
        match self {
            Self::Publish(message) => key(Table::Publish, 0, message.id),
            Self::Later(later) => key(Table::Later, 0, later.message.id),
            Self::Reply(reply) => key(Table::Reply, 0, reply.mq_id),
            Self::Receive(receive) => key(Table::Receive, receive.uid, receive.run.into()),
            Self::Outcome(outcome) => key(Table::Outcome, outcome.uid, 0),
            Self::Effect(uid) => key(Table::Effect, *uid, by.0.cast_signed()),
            Self::Cursor(_) => key(Table::Cursor, 0, 0),
            Self::Backlog(_) => key(Table::Backlog, 0, 0),
            Self::Callbacks(_) => key(Table::Callbacks, 0, 0),
            Self::Hold(hold) => key(Table::Hold, 0, hold.id),
        }
    }
}
