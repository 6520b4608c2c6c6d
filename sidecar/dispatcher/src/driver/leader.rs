//! The copy that leads: one task that owns the session and everything in flight.
//!
//! It is an actor: one loop, one state, no locks. Statements are jobs that run on the session while the loop goes on, and
//! their results come back to it. What ends the session ends the leader: its state is dropped, nothing is written any
//! more, and the next leader finds out from the tables what there is to do.

mod attempts;
mod fall;
mod hand_over;
mod intake;
mod jobs;
mod outcomes;
mod pulse;
mod readiness;
mod recall;
mod replies;
mod sending;
mod take_over;
mod timing;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{
    StreamExt as _,
    future::BoxFuture,
    stream::{BoxStream, FuturesUnordered, ReadyChunks},
};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_postgres::AsyncMessage;
use tokio_util::sync::{CancellationToken, DropGuard};
use tpro_runtime::nats::again::{AgainReceiver, Whose};

pub(crate) use self::fall::Fall;
use self::{
    fall::NATS_PATIENCE,
    jobs::{Done, Job},
    outcomes::Handled,
    pulse::Pulse,
    readiness::Readiness,
    sending::Sending,
};
use super::{
    headers::incoming,
    outbox::{Outbox, OutboxError},
    stuck::Hold,
};
use crate::{
    Context,
    core::{
        barrier::{Barrier, Echo},
        bell::Bell,
        cursor::{Pace, Unsettled},
        floor::Floor,
        in_flight::{InFlight, Key},
        lanes::Lanes,
        note::Note,
        reader::Reader,
        recall::Recall,
        reply_queue::ReplyQueue,
        settler::Settler,
        timers::Timers,
    },
    election::claim::{Claim, Heard},
    metrics::Counts,
};

/// How often a lost connection to NATS is looked at.
const RECONNECT_CHECK: Duration = Duration::from_millis(50);
/// How long a leader that is told to stop waits for the replies it awaits. It holds the lock meanwhile, so that what is
/// published waits for the next leader; what is not answered by then, that one sends again, and the inbox of the target
/// makes it one effect.
const LAST_REPLIES: Duration = Duration::from_secs(3);

/// A reason for the loop to wake up.
enum Event {
    Done(Result<Done, OutboxError>),
    Replies(Option<Vec<async_nats::Message>>),
    Server(Option<AsyncMessage>),
    Claim(Heard),
    Again(Whose),
    Forbidden(Arc<str>),
    Room(Result<(), Fall>),
    Handled(Handled),
    /// The session waits for a synchronous standby, or does not.
    Standby(bool),
    Time,
    Stop,
    Halt,
}

/// The leader.
pub(crate) struct Leader {
    app: Context,
    /// The backend of the session that leads.
    pid: i32,
    counts: Counts,
    outbox: Arc<Outbox>,
    replies: ReadyChunks<async_nats::Subscriber>,
    server: BoxStream<'static, AsyncMessage>,
    /// The server has said something that was dropped.
    missed: Arc<AtomicBool>,
    cancel_channel: String,
    claim: Claim,
    sending: Sending,
    barrier: Barrier,
    again: AgainReceiver,
    forbidden: broadcast::Receiver<Arc<str>>,

    bell: Bell,
    reader: Reader,
    floor: Floor,
    /// Rows that a leader before may have sent, while they are being looked through.
    recovery: Option<Reader>,
    looking: bool,
    /// Rows that others may have settled.
    recall: Recall,
    /// Rows that others have settled still wait in their lanes.
    stale: bool,
    lanes: Lanes,
    in_flight: InFlight,
    timers: Timers,

    settler: Settler,
    /// Outcomes that wait for a reply handler, and those whose handler runs.
    to_handle: ReplyQueue,
    handling: FuturesUnordered<BoxFuture<'static, Handled>>,
    /// Ends with the leadership.
    leading: CancellationToken,
    _leading: DropGuard,
    unsettled: Unsettled,
    note: Note,
    pace: Pace,

    jobs: FuturesUnordered<Job>,
    reading: bool,
    fetching: bool,
    /// Until when the next page is held back, as was found in this turn.
    hold: Option<Instant>,
    pulse: Pulse,
    /// The end of the wait for the last replies, once we are told to stop.
    until: Option<Instant>,
    /// When NATS was last seen to be there.
    connected_at: Instant,
    now: Instant,
    /// Replies that a trigger has taken away: as long as there are any, nothing is sent.
    swallowed: HashMap<i64, Hold>,
    readiness: Readiness,
    /// Reused between turns.
    fired: Vec<Key>,
}

impl Leader {
    /// Leads until it is told to stop (`Ok`) or falls.
    pub async fn lead(mut self) -> Result<(), Fall> {
        loop {
            self.now = Instant::now();
            let connected = self.sending.is_connected();
            if connected {
                self.connected_at = self.now;
                self.look_at_connection();
            } else if self.now >= self.connected_at + NATS_PATIENCE {
                return Err(Fall::Cut);
            }
            self.watch_timers(connected);
            self.begin_jobs(connected)?;
            self.show();
            if self.until.is_some_and(|until| self.is_through() || self.now >= until) {
                return self.hand_over().await;
            }
            let event = self.next_event(connected).await;
            self.now = Instant::now();
            match event {
                Event::Done(done) => self.on_done(done?),
                Event::Replies(Some(replies)) => {
                    replies.iter().for_each(|reply| self.on_reply(&incoming(reply)))
                }
                Event::Replies(None) => return Err(Fall::Nats),
                Event::Server(Some(AsyncMessage::Notification(notification))) => {
                    self.on_notification(notification.channel());
                }
                Event::Server(Some(_)) => {}
                Event::Server(None) => return Err(Fall::Closed),
                Event::Claim(heard) => self.claim.heed_leading(&heard)?,
                // Of ours there is more to know first: the loop looks at the connection.
                Event::Again(Whose::All) => {}
                Event::Again(Whose::To(service)) => self.send_again_to(&service),
                Event::Forbidden(subject) => self.on_forbidden(&subject),
                Event::Room(room) => {
                    room?;
                    self.send_some()?;
                }
                Event::Handled(handled) => self.on_handled(handled),
                Event::Standby(waits) => self.on_standby(waits),
                Event::Time => {}
                Event::Stop => self.until = Some(self.now + LAST_REPLIES),
                Event::Halt => return Ok(()),
            }
        }
    }

    async fn next_event(&mut self, connected: bool) -> Event {
        let sends = connected && !self.sending.is_empty() && !self.outbox.stuck().is_stuck();
        let wake = self.wake_at(connected);
        let stop = self.app.stop.clone();
        tokio::select! {
            Some(done) = self.jobs.next(), if !self.jobs.is_empty() => Event::Done(done),
            replies = self.replies.next() => Event::Replies(replies),
            Some(handled) = self.handling.next(), if !self.handling.is_empty() => Event::Handled(handled),
            Some(waits) = self.pulse.next_answer(), if self.pulse.is_asking() => Event::Standby(waits),
            room = self.sending.room(), if sends => Event::Room(room),
            message = self.server.next() => Event::Server(message),
            Some(heard) = self.claim.next() => Event::Claim(heard),
            whose = self.again.next() => Event::Again(whose),
            Some(subject) = next_forbidden(&mut self.forbidden) => Event::Forbidden(subject),
            () = tokio::time::sleep_until(wake.into()) => Event::Time,
            () = stop.soft.cancelled(), if self.until.is_none() => Event::Stop,
            () = stop.hard.cancelled() => Event::Halt,
        }
    }

    /// The next moment at which there is something to do by itself. Everything here is in the future, or waits for another
    /// event: a moment that has passed and cannot be acted on would make the loop spin.
    fn wake_at(&self, connected: bool) -> Instant {
        let reads = match self.hold {
            Some(until) => Some(until),
            None if self.may_read(connected) => self.bell.next(),
            None => None,
        };
        let times = [
            reads,
            self.timers.next_due(),
            self.lanes.rested_at(self.now).filter(|_| connected),
            self.settler.due(),
            self.barrier.due().filter(|_| connected),
            self.move_due().filter(|_| self.reader.is_between() && self.recovery.is_none()),
            self.recall.due(self.now),
            self.pulse.question_due().filter(|_| !self.jobs.is_empty()),
            self.until,
            connected.then(|| self.claim.due()),
            (!connected).then(|| self.now + RECONNECT_CHECK),
        ];
        times.into_iter().flatten().fold(self.pulse.due(), Instant::min)
    }

    /// Somebody has published, or settled what is ours to settle.
    fn on_notification(&mut self, channel: &str) {
        if channel == self.cancel_channel {
            self.recall.ring();
        } else {
            self.bell.rung();
        }
        if self.missed.swap(false, Ordering::Relaxed) {
            // Among those that were dropped there may have been any.
            self.recall.ring();
        }
    }

    /// Sends again after the connection has changed. It is known only for the connection that events went over if the server
    /// has them. Requests and replies that a lost connection held are lost.
    fn look_at_connection(&mut self) {
        if let Some(Echo::Unsure(events)) = self.barrier.connected(self.sending.connection()) {
            events.into_iter().for_each(|key| self.send_again(key));
            self.send_flying_again(|_| true);
        }
    }

    fn show(&mut self) {
        self.readiness.show(self.outbox.stuck().reason(), &self.app.health);
        self.counts.in_flight.set(self.in_flight.len() as i64);
        self.counts.waiting.set(self.lanes.waiting() as i64);
        self.counts.unsettled.set(self.unsettled.len() as i64);
        self.counts.floor.set(self.floor.first().max(0));
        self.counts.asleep.set(i64::from(self.bell.is_asleep()));
    }
}

/// The next subject to which the server has refused to publish. One that is left out is waited for as long as one without an
/// answer.
async fn next_forbidden(forbidden: &mut broadcast::Receiver<Arc<str>>) -> Option<Arc<str>> {
    match forbidden.recv().await {
        Ok(subject) => Some(subject),
        Err(RecvError::Lagged(_)) => None,
        Err(RecvError::Closed) => std::future::pending().await,
    }
}
