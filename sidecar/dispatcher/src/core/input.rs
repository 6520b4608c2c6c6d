//! The events that the core is told of.

use std::time::SystemTime;

use super::{
    forwarding::Forward,
    holds::{Asked, Hold},
    in_flight::Key,
    incoming::Incoming,
    lane::Waiting,
    lane_id::LaneId,
    later::Sent,
    moment::Moment,
    published::Row,
    recovery::Recovered,
    reply_queue::Place,
    settled::Settled,
    snapshot::Snapshot,
    unreplied::Unreplied,
    writing::{Unwritten, Writing},
};

/// An event.
pub enum Input<'m> {
    /// The connection to NATS, told before anything that came over it: its state, and a number that
    /// changes with each reconnect.
    Connection {
        /// NATS is connected.
        up: bool,
        /// The number of the connection.
        number: u64,
    },
    /// The time by the database's clock.
    Clock(SystemTime),
    /// NATS takes a message without waiting.
    Room,
    /// A message was handed to NATS.
    Sent(Key),
    /// A message is larger than NATS takes.
    TooLarge {
        /// Where it is kept.
        key: Key,
        /// Its bytes.
        size: usize,
        /// The bytes that NATS takes.
        most: usize,
    },
    /// A service was asked if it is there, or NATS had no room for the question.
    Asked {
        /// The lane of the service.
        lane: LaneId,
        /// The question went out.
        went: bool,
    },
    /// NATS had no room for the question if the Go system answers for the service of this lane.
    NotAskedForGo(LaneId),
    /// A message came on a reply subject.
    Reply(Incoming<'m>),
    /// The NATS server has refused to let us publish to this subject.
    Forbidden(&'m str),
    /// A copy of this service, `<space>.<service>`, is connected again.
    Back(&'m str),
    /// Somebody has published while the dispatcher slept.
    Rung,
    /// Somebody may have settled what is in hand here.
    Cancelled,
    /// Somebody has published what is to be sent at this moment, which is soon; none: there is no
    /// saying when.
    DueSoon(Option<Moment>),
    /// A statement has ended.
    Done(Done),
    /// A reply handler has ended.
    Handled(Handled),
    /// The session that leads waits for a synchronous standby, or does not.
    Standby(bool),
    /// Time has passed.
    Time,
    /// Let the leadership go.
    Stop,
}

/// The end of a statement.
pub enum Done {
    /// Of [`Statement::Page`](super::Statement::Page).
    Page {
        /// The snapshot it was read in.
        cur: Snapshot,
        /// The rows, in the order of (tx, id).
        rows: Vec<Row>,
        /// The most rows that were asked for.
        limit: usize,
        /// Those that have a reply, in order.
        gone: Vec<i64>,
    },
    /// Of [`Statement::Recover`](super::Statement::Recover).
    Recovered(Recovered),
    /// Of [`Statement::Fetch`](super::Statement::Fetch).
    Fetched {
        /// The rows that were asked for.
        asked: Vec<(LaneId, Waiting)>,
        /// Those that are there, in the order of ids.
        rows: Vec<Row>,
        /// Those that have a reply, in order.
        gone: Vec<i64>,
    },
    /// Of [`Statement::Holds`](super::Statement::Holds): the rows, in the order of ids.
    Holds(Asked, Vec<Hold>),
    /// Of [`Statement::Recall`](super::Statement::Recall).
    Recalled {
        /// Those that have a reply.
        gone: Vec<i64>,
        /// Those of them that name a label for it, in order.
        owed: Vec<i64>,
    },
    /// Of [`Statement::Forward`](super::Statement::Forward): the replies, in the order of ids.
    Forwards(Vec<Forward>),
    /// Of [`Statement::Sleep`](super::Statement::Sleep).
    Slept {
        /// The bell is ours; else a publisher is about to commit.
        ours: bool,
        /// Services of the database that are led.
        leaders: u32,
    },
    /// Of [`Statement::Wake`](super::Statement::Wake).
    Woken,
    /// Of [`Statement::Settle`](super::Statement::Settle): so many rows were written, or none.
    Settled(Box<Writing>, Result<u64, Unwritten>),
    /// Of [`Statement::Missing`](super::Statement::Missing).
    Missing(Box<Writing>, Vec<i64>),
    /// Of [`Statement::LookBack`](super::Statement::LookBack).
    LookedBack {
        /// Everything below the floor that is visible in it was found.
        until: Snapshot,
        /// The rows without a reply.
        found: Vec<Unreplied>,
        /// The rows with a reply that name a label for it.
        owed: Vec<i64>,
        /// The last id that was drawn by then.
        drawn: i64,
        /// The cursor is to move after it.
        moves: bool,
    },
    /// Of [`Statement::MoveCursor`](super::Statement::MoveCursor).
    Moved,
    /// Of [`Statement::Note`](super::Statement::Note).
    Noted,
    /// Of [`Statement::TryToSettle`](super::Statement::TryToSettle): the reason why replies cannot
    /// be written, if they cannot.
    Tried(Option<String>),
    /// Of [`Statement::SendDue`](super::Statement::SendDue); none: it has failed.
    SentDue(Option<Sent>),
    /// Of [`Statement::Heartbeat`](super::Statement::Heartbeat).
    Beat,
}

/// An outcome that was given to a reply handler, and its end.
pub struct Handled {
    /// The place at the handlers that it had.
    pub place: Place,
    /// The outcome.
    pub settled: Settled,
    /// The end of the handler.
    pub end: HandlerEnd,
}

/// The end of a reply handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandlerEnd {
    /// The outcome is written, and known to be committed.
    Written,
    /// The database was not there for the handler, which has not run to its end: another try.
    Again,
    /// The outcome is to be written without its handler.
    Unwritten,
}
