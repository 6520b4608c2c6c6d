//! The statements of the product, by their names, and what they answer.

use std::{sync::Arc, time::Duration};

use super::{
    row::{Callbacks, Cursor, Hold, Message, Outcome, Reply, Service},
    snapshot::Snapshot,
    sqlstate::SqlState,
    xid::Xid,
};
use crate::time::Time;

/// A row to be published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewMessage {
    /// An id that was drawn before, or the next one.
    pub id: Option<i64>,
    /// Its uid.
    pub uid: u128,
    /// `space.service`.
    pub lane: Arc<str>,
    /// `entity.method_name`.
    pub method: Arc<str>,
    /// `jsonrpc` or `json`.
    pub protocol: Arc<str>,
    /// Seconds.
    pub timeout: i32,
    /// The moment after which it is not worth sending.
    pub expires_at: Option<Time>,
    /// The record of a call.
    pub direct: bool,
    /// It names a label for its reply.
    pub reply_to: bool,
    /// 0 to 3, 3 first.
    pub priority: i32,
    /// Its ordering key.
    pub key: Option<Arc<str>>,
    /// Headers, as text.
    pub headers: Arc<str>,
    /// Body, as text.
    pub body: Arc<str>,
}

/// The part of the outbox that is read: the parameters of `outbox.read`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Read up to here.
    pub seen: Snapshot,
    /// The window's end while paging.
    pub until: Option<Snapshot>,
    /// The last (tx, id) of the page before.
    pub after: (Xid, i64),
    /// The most rows.
    pub rows: usize,
    /// Lanes and priorities (`space.service.priority`) whose rows come without headers and body;
    /// none for all of them.
    pub closed: Option<Vec<String>>,
    /// The first id that is asked for.
    pub first: i64,
}

/// A page of the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The snapshot it was read in; none if the transaction had an id of its own.
    pub cur: Option<Snapshot>,
    /// Messages; false for those that came without headers and body.
    pub rows: Vec<(Message, bool)>,
}

/// What `tpro.send_due` has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentDue {
    /// Rows that went into the outbox.
    pub rows: usize,
    /// The least id of them.
    pub least: Option<i64>,
    /// All that was to be sent before then has gone.
    pub upto: Option<Time>,
    /// The time until the next one is due.
    pub next: Option<Duration>,
    /// Messages that wait on under another id, since the outbox has theirs: their uids, and these ids.
    pub renamed: Vec<(u128, i64)>,
}

/// A message to be taken into the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taking {
    /// The message.
    pub uid: u128,
    /// The number of the run.
    pub run: i32,
    /// Who asks.
    pub source: Option<Arc<str>>,
    /// The subject it came by.
    pub target: Arc<str>,
    /// The attempt of the requester.
    pub attempt: i32,
    /// The time that is left.
    pub budget: Duration,
    /// The proof that a repeat must give.
    pub proof: Option<Arc<str>>,
}

/// A row of `outbox.look_back`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookedBack {
    /// The transaction that has published it.
    pub tx: Xid,
    /// Its number.
    pub id: i64,
    /// `space.service`.
    pub lane: Arc<str>,
    /// Its priority there.
    pub priority: i32,
    /// Its ordering key.
    pub key: Option<Arc<str>>,
    /// It has a reply.
    pub settled: bool,
    /// It names a label for it.
    pub forwards: bool,
}

/// A row of `outbox.unsettled`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsettled {
    /// Its number.
    pub id: i64,
    /// `space.service`.
    pub lane: Arc<str>,
    /// Its priority there.
    pub priority: i32,
    /// Its ordering key.
    pub key: Option<Arc<str>>,
}

/// A sender, the target it asked, and its proof.
pub type Question = (Option<Arc<str>>, Arc<str>, Option<Arc<str>>);

/// A row of `inbox.known`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The message.
    pub uid: u128,
    /// Its stored answer.
    pub answer: Option<Arc<str>>,
    /// Its last run.
    pub run: Option<i32>,
    /// That run is this copy's.
    pub ours: bool,
    /// Its deadline has not passed.
    pub has_time: bool,
    /// It is another copy's, which is present, and there is no answer.
    pub is_present: bool,
    /// The question that it was accepted for.
    pub first: Option<Question>,
    /// Its sender may still wait.
    pub is_awaited: bool,
}

/// A statement on `mq_hold`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holding {
    /// `holds.read`: behind this id, so many rows.
    Behind(i64, usize),
    /// `holds.of`.
    Of(Vec<i64>),
    /// The hold of a message that has failed, as a reply handler's transaction writes it.
    Add(Hold),
    /// `tpro.end_holds` of a message, as that transaction calls it.
    LetGo(i64),
    /// `tpro.release`, of a lane and a key.
    Release(Arc<str>, Arc<str>),
    /// The part of `tpro.retry` that adds the copy of a message.
    Copy(i64, i64),
}

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// BEGIN.
    Begin,
    /// COMMIT.
    Commit,
    /// ROLLBACK.
    Rollback,
    /// PREPARE TRANSACTION.
    Prepare(Arc<str>),
    /// COMMIT PREPARED.
    CommitPrepared(Arc<str>),
    /// ROLLBACK PREPARED.
    RollbackPrepared(Arc<str>),
    /// SET LOCAL lock_timeout; none for no limit.
    SetPatience(Option<Duration>),
    /// `pg_current_xact_id()`.
    TakeXid,
    /// `pg_current_snapshot()`: `cursor.now`.
    Snapshot,
    /// `clock_timestamp()`: `leader.heartbeat`.
    Heartbeat,
    /// The server's timeline and the start of its postmaster: `leader.identity`.
    Identity,
    /// LISTEN.
    Listen(Arc<str>),
    /// NOTIFY.
    Notify(Arc<str>, Arc<str>),
    /// INSERT into the outbox.
    Publish(Service, Vec<NewMessage>),
    /// INSERT into what is sent later, at this time.
    PublishLater(Service, Vec<NewMessage>, Time),
    /// `outbox.send_due`: from this time on, so many at most.
    SendDue(Service, Option<Time>, usize),
    /// `nextval`.
    Draw(Service),
    /// `outbox.read`.
    Read(Service, Window),
    /// `outbox.look_back`: read up to, look up to, the last id, the place before, the most rows.
    LookBack(Service, Snapshot, Snapshot, i64, (Xid, i64), usize),
    /// `outbox.drawn`.
    Drawn(Service),
    /// `outbox.fetch`.
    Fetch(Service, Vec<i64>),
    /// `outbox.unsettled`.
    Unsettled(Service, Vec<i64>),
    /// `outbox.settled`.
    Settled(Service, Vec<i64>),
    /// `outbox.owed`.
    Owed(Service, Vec<i64>),
    /// `outbox.forward`.
    Forward(Service, Vec<i64>),
    /// `reply.settle`, by the number of the newest reply handler in SQL that is known.
    Settle(Service, Vec<Reply>, i64),
    /// `reply.settle_unsettled`.
    SettleUnsettled(Service, Vec<Reply>, i64),
    /// `reply.settle_holding`: with the holds of the messages that ask for one.
    SettleHolding(Service, Vec<Reply>, i64, Vec<Hold>),
    /// A statement on `mq_hold`.
    Holds(Service, Holding),
    /// `callbacks.read`.
    Callbacks(Service),
    /// `tpro.on_reply` and `tpro.off_reply`: a bit for each target.
    NameCallbacks(Service, u8),
    /// The reply of a message that is there with this uid, as a reply handler's transaction writes it.
    SettleOwn(Service, Reply),
    /// `reply.try`.
    TryToSettle(Service),
    /// `tpro.cancel`.
    Cancel(Service, i64),
    /// `cursor.read`.
    Cursor(Service),
    /// `cursor.move`.
    MoveCursor(Service, Cursor),
    /// `backlog.note`: unsettled, whole, read.
    NoteBacklog(Service, i64, bool, i64),
    /// `tpro.lead`.
    Lead(Service),
    /// `tpro.sleep`.
    Sleep(Service),
    /// `tpro.wake`.
    Wake(Service),
    /// `tpro.present`.
    Present(Service, i32),
    /// `tpro.is_present`.
    IsPresent(Service, i32),
    /// `tpro.depose`.
    Depose(Service),
    /// True if the backend of this pid leads.
    IsLed(Service, u32),
    /// `inbox.accept_unaccepted`, by a copy.
    Accept(Service, i32, Vec<Taking>),
    /// `inbox.known`, for a copy.
    Known(Service, i32, Vec<u128>),
    /// `inbox.finish_unfinished`.
    Finish(Service, Vec<Outcome>),
    /// `inbox.finish_accepted`, by a copy.
    FinishAccepted(Service, i32, Vec<Outcome>),
    /// `inbox.outcome`.
    Outcomes(Service, Vec<u128>),
    /// `inbox.counted`.
    Begun(Service, u128),
    /// `inbox.count_repeat`, by a copy.
    CountRepeat(Service, i32, Taking),
    /// INSERT of a handler's effect.
    Effect(Service, u128),
}

/// The answer to a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// COMMIT of a transaction that had failed: it was rolled back.
    RolledBack,
    /// A number of rows.
    Count(usize),
    /// A number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// A number that may be missing.
    Maybe(Option<i64>),
    /// A transaction's id.
    Xid(Xid),
    /// A snapshot.
    Snapshot(Snapshot),
    /// The time of the database.
    Time(Time),
    /// Timeline, and start of the postmaster.
    Identity(u32, Time),
    /// A page of the outbox.
    Page(Page),
    /// The messages that were put into the outbox because their time had come.
    SentDue(SentDue),
    /// The reply handlers in SQL.
    Callbacks(Callbacks),
    /// Ordering keys that are held.
    Holds(Vec<Hold>),
    /// Messages, whole.
    Messages(Vec<Message>),
    /// Ids.
    Ids(Vec<i64>),
    /// Messages without a reply.
    Unsettled(Vec<Unsettled>),
    /// Messages that were looked back at.
    LookedBack(Vec<LookedBack>),
    /// Replies for the subscribers of labels: id, uid and status.
    Forwards(Vec<(i64, u128, Arc<str>)>),
    /// The durable cursor.
    Cursor(Cursor),
    /// Uids.
    Uids(Vec<u128>),
    /// Rows of `inbox.known`.
    Known(Vec<Known>),
    /// Uids and stored answers.
    Outcomes(Vec<(u128, Arc<str>)>),
}

/// The end of a step of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The statement is over.
    Done(Result<Answer, SqlState>),
    /// It waits; see [`super::Server::ready`] and [`super::Server::due`].
    Waits,
}
