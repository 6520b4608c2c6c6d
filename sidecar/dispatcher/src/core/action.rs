//! The actions that the core asks for.

use super::{
    cursor::Cursor, forwarding::Forward, holds::Asked, in_flight::Key, lane::Waiting, lane_id::LaneId,
    moment::Moment, reader::Window, reply_queue::Place, settled::Settled, snapshot::Snapshot,
    writing::Writing,
};

/// An action for the driver.
pub enum Action {
    /// Run a statement on the session that leads; its end is [`Input::Done`](super::Input::Done).
    /// Statements run in the order in which they are asked for, each in a transaction of its own.
    Run(Statement),
    /// Drop the statements that are under way: nobody looks at their ends any more.
    Abandon,
    /// Hand [`Core::outgoing`](super::Core::outgoing) to NATS, which has room for one message; the
    /// end is [`Input::Sent`](super::Input::Sent) or [`Input::TooLarge`](super::Input::TooLarge).
    Send(Key),
    /// Publish a reply to the subject of its label. NATS has room for one message.
    Forward(Forward),
    /// Publish a question, if NATS has room for it just now.
    Ask(Question),
    /// Have an outcome written with its reply handler; the end is
    /// [`Input::Handled`](super::Input::Handled).
    Handle(Handling),
    /// Ask by another session if the one that leads waits for a synchronous standby; the answer is
    /// [`Input::Standby`](super::Input::Standby).
    AskStandby,
    /// Show in the readiness of this copy.
    Show(Notice),
    /// Lead no more. Nothing follows.
    End(End),
}

/// A statement on the session that leads.
pub enum Statement {
    /// Read a page: the rows of the window from the id `first` on, `limit` at most, those of
    /// `closed` lanes without bodies. If replies are doubted, look after it which of these rows
    /// have one.
    Page {
        /// Between which snapshots, and after which row.
        window: Window,
        /// The first id.
        first: i64,
        /// The most rows.
        limit: usize,
        /// Lanes whose rows come without bodies.
        closed: Vec<String>,
        /// Rows may have a reply.
        doubted: bool,
    },
    /// Read a page of [`recovery::PAGE`](super::recovery) rows of the window, all without bodies,
    /// and after it which of them have no reply.
    Recover(Window),
    /// Read these rows whole. If replies are doubted, look after it which of them have one.
    Fetch {
        /// The rows, and their lanes.
        asked: Vec<(LaneId, Waiting)>,
        /// Rows may have a reply.
        doubted: bool,
    },
    /// Read which ordering keys are held.
    Holds(Asked),
    /// Look which of these rows have a reply, and which of those name a label for it.
    Recall(Vec<i64>),
    /// Read the replies of these rows that name a label.
    Forward(Vec<i64>),
    /// Take the bell.
    Sleep,
    /// Let the bell go.
    Wake,
    /// Write the outcomes of [`Writing::part`]; the first reply of a row wins.
    Settle(Box<Writing>),
    /// Look which rows of [`Writing::part`] are there and have no reply.
    Missing(Box<Writing>),
    /// Look which rows up to the id `last` became visible between two snapshots and have no reply,
    /// and after it which id was drawn last.
    LookBack {
        /// Everything visible in it is in hand.
        seen: Snapshot,
        /// Everything visible in it is to be in hand.
        until: Snapshot,
        /// The last id below the floor; none while there is no floor.
        last: Option<i64>,
        /// The cursor is to move after it.
        moves: bool,
    },
    /// Move the durable cursor. When the server has no room for it, it stays where it was.
    MoveCursor(Cursor),
    /// Note how much waits, for publishers.
    Note {
        /// Rows that are read and not settled.
        unsettled: i64,
        /// Nothing is left to be read.
        whole: bool,
        /// The last id that was read.
        read: i64,
    },
    /// Put what is due into the outbox, [`AT_MOST`](super::AT_MOST) rows at most,
    /// from this moment on; none: whenever it was to be sent.
    SendDue(Option<Moment>),
    /// Try if replies can be written at all.
    TryToSettle,
    /// Show that the session lives.
    Heartbeat,
}

/// A question, which is no message of an outbox. It has no body where nothing else is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// To a reply subject of our own: the server has what was sent before it when it comes back.
    Echo {
        /// The subject.
        subject: String,
    },
    /// To a service, of a version that no release understands: each copy refuses it at once.
    /// [`Input::Asked`](super::Input::Asked) says if the client took it.
    Presence {
        /// The lane of the service.
        lane: LaneId,
        /// The subject.
        subject: String,
        /// Where the refusal comes back to.
        reply: String,
    },
    /// In the form of the Go system, with [`go::QUESTION`](tpro_wire::go::QUESTION) as its body: a
    /// copy of that system answers it. [`Input::NotAskedForGo`](super::Input::NotAskedForGo) says
    /// that the client had no room.
    Go {
        /// The lane of the service.
        lane: LaneId,
        /// The subject.
        subject: String,
        /// Where the answer comes back to.
        reply: String,
    },
}

/// An outcome for its reply handler.
pub struct Handling {
    /// The place at the handlers that it has.
    pub place: Place,
    /// The outcome.
    pub settled: Settled,
    /// Only a leader may say it, as that nobody answered: it is dropped when this one leads no
    /// more.
    pub by_leader: bool,
}

/// A word for the readiness of the copy that leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The session waits for a synchronous standby, or does no more.
    Standby(bool),
    /// Replies cannot be written, for this reason, or can.
    Replies(Option<String>),
    /// The Go system answers for the services of these lanes, and nothing is sent to them; or for
    /// none.
    Go(Vec<String>),
}

/// The end of a leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It was told to stop, and has handed over.
    Stopped,
    /// NATS has been away for too long.
    Cut,
    /// The session does not answer.
    Silent,
    /// An outcome of ours is one that PostgreSQL does not take, in its words.
    Broken(String),
}
