//! The events of a run.

use crate::{
    nats::{ConnectionId, Delivery},
    postgres::SessionId,
};

/// The one on whose behalf a session is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The session of a copy that leads, or wants to.
    Leader(usize),
    /// The session of a copy's inbox.
    Writer(usize),
    /// A run of a handler.
    Run(u64),
    /// A run of a reply handler.
    Handler(u64),
    /// The publisher of this transaction.
    Publisher(usize),
    /// The operator who cancels a message of this transaction.
    Operator(usize),
    /// An operator who does something about a key that is held.
    Releaser(u64),
}

/// An event.
#[derive(Clone)]
pub enum Event {
    /// A transaction of a publisher begins.
    Publish(usize),
    /// A publisher ends its transaction.
    Conclude(usize),
    /// An operator cancels a message of this transaction.
    Cancel(usize),
    /// An operator ends its transaction.
    ConcludeCancel(usize),
    /// Operators look for ordering keys that are held.
    LookForHolds,
    /// An operator who has done something about one ends its transaction.
    ConcludeRelease(u64),
    /// Somebody names reply handlers in SQL.
    Name(usize),
    /// A fault begins.
    Fault(usize),
    /// A fault ends.
    Heal(usize),
    /// A statement reaches the database.
    Reach(SessionId),
    /// A statement that waited may go on.
    Resume(SessionId),
    /// A session may have stood idle for too long.
    Idle(SessionId),
    /// The database sees that a client is gone.
    HangUp(SessionId),
    /// Both ends of a session notice that nothing gets through.
    Silent(SessionId),
    /// An answer of the database reaches its client.
    Answer(SessionId),
    /// A client learns that its session is gone.
    Lost(SessionId),
    /// Notifications reach a client.
    Notes(SessionId),
    /// Something reaches the NATS server.
    Carry(ConnectionId),
    /// Something reaches a client of NATS.
    Receive(ConnectionId),
    /// A message comes later than those behind it.
    Late(ConnectionId, Box<Delivery>),
    /// The server notices that a client of NATS is gone.
    Closed(ConnectionId),
    /// A client notices that its connection to NATS is gone.
    Disconnected(usize, ConnectionId),
    /// A copy connects to NATS.
    Connect(usize, u64),
    /// The core of a copy has something to do.
    Wake(usize, u64),
    /// A copy looks whether it can lead.
    Follow(usize, u64),
    /// Nobody has objected to the claim of a copy, on this session.
    Claimed(usize, SessionId),
    /// A copy that leads asks again whether its service is led from another server.
    AskAgain(usize, SessionId),
    /// A rival looks about.
    Rival(usize),
    /// The inbox of a copy opens its session.
    OpenInbox(usize, u64),
    /// The reply handler tries again.
    Handle(u64),
    /// A run goes on.
    Run(u64),
    /// The time of a run is over.
    Overdue(u64),
    /// A run says that it is at work.
    SayWorking(u64),
    /// A process starts.
    Start(usize),
    /// A process that was told to stop is killed.
    Kill(usize, u64),
    /// Nothing breaks any more: one more message each is published.
    Probe,
    /// The leaders are told to stop.
    Stop,
    /// The end.
    End,
}
