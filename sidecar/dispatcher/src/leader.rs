//! The copy that leads: one task that owns the session and everything in flight.
//!
//! It is an actor: one loop, one state, no locks. Statements are jobs that run on the session while the loop goes on, and
//! their results come back to it. What ends the session ends the leader: its state is dropped, nothing is written any
//! more, and whoever leads next finds out from the tables what there is to do.

mod flight;
mod hand_over;
mod intake;
mod jobs;
mod outcomes;
mod recall;

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_nats::connection::State;
use futures_util::{
    FutureExt as _, SinkExt as _, StreamExt as _,
    future::BoxFuture,
    stream::{BoxStream, FuturesUnordered, ReadyChunks},
};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_postgres::AsyncMessage;
use tokio_util::sync::{CancellationToken, DropGuard};
use tpro_runtime::{
    nats::again::{AgainReceiver, Whose},
    random,
};
use tpro_wire::uid::Uid;

use self::{
    jobs::{Done, Job},
    outcomes::Handled,
};
use super::{
    Context,
    barrier::{Barrier, Echo},
    bell::Bell,
    claim::{Claim, ClaimError, Heard},
    cursor::{Pace, Unsettled},
    floor::Floor,
    in_flight::{InFlight, Key},
    lanes::{Bounds, Lanes},
    metrics::Counts,
    outbox::{Cursor, Outbox, OutboxError},
    reader::Reader,
    recall::Recall,
    recovery,
    reply_queue::ReplyQueue,
    sender::Sender,
    settler::Settler,
    stuck::{self, Hold},
    timers::Timers,
};

/// Replies taken from the subscription at a time.
const REPLIES: usize = 512;
/// Messages handed to the NATS client at a time, before replies are looked at again.
const SENDS: usize = 256;
/// How often a lost connection to NATS is looked at.
const RECONNECT_CHECK: Duration = Duration::from_millis(50);
/// How long a leader without NATS keeps the lock; then whichever copy reaches NATS leads.
const NATS_PATIENCE: Duration = Duration::from_secs(10);
/// With no statement answered for so long the session is taken for dead: well before followers depose it, which they do
/// after 12 s, so that a black hole towards PostgreSQL is noticed on both sides.
const SILENCE: Duration = Duration::from_secs(10);
/// With no statement answered for so long it is asked, by another session, whether this one waits for a synchronous
/// standby, and asked again after as long. One that does is not dead.
const STANDBY_CHECK: Duration = Duration::from_secs(5);
/// How long a leader that is told to stop waits for the replies it awaits. It holds the lock meanwhile, so that what is
/// published waits for the next leader; what is not answered by then, that one sends again, and the inbox of the target
/// makes it one effect.
const LAST_REPLIES: Duration = Duration::from_secs(3);

/// Why a leader is none any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fall {
    /// A statement failed.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The session is gone.
    #[error("the session was closed by the server")]
    Closed,
    /// The session does not answer.
    #[error("the session does not answer for {} s", SILENCE.as_secs())]
    Silent,
    /// The NATS client has ended.
    #[error("the connection to NATS is closed for good")]
    Nats,
    /// The source is led from elsewhere.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// NATS has been away for too long.
    #[error("NATS has been out of reach for {} s; whichever copy reaches it leads", NATS_PATIENCE.as_secs())]
    Cut,
    /// The reply subject could not be subscribed to.
    #[error("the reply subject cannot be subscribed to: {0}")]
    Subscribe(#[from] async_nats::SubscribeError),
}

/// What the loop wakes up for.
enum Event {
    Done(Result<Done, OutboxError>),
    Replies(Option<Vec<async_nats::Message>>),
    Server(Option<AsyncMessage>),
    Claim(Heard),
    Again(Whose),
    Forbidden(Arc<str>),
    Room(Result<(), async_nats::PublishError>),
    Handled(Handled),
    /// Whether the session waits for a synchronous standby.
    Standby(bool),
    Time,
    Stop,
    Halt,
}

/// The leader.
pub(super) struct Leader {
    app: Context,
    /// The backend of the session that leads.
    pid: i32,
    counts: Counts,
    outbox: Arc<Outbox>,
    nats: async_nats::Client,
    replies: ReadyChunks<async_nats::Subscriber>,
    server: BoxStream<'static, AsyncMessage>,
    /// Whether the server has said something that was dropped.
    missed: Arc<AtomicBool>,
    cancel_channel: String,
    claim: Claim,
    sender: Sender,
    barrier: Barrier,
    again: AgainReceiver,
    forbidden: broadcast::Receiver<Arc<str>>,

    bell: Bell,
    reader: Reader,
    floor: Floor,
    /// What a leader before may have sent, while it is being looked through.
    recovery: Option<Reader>,
    looking: bool,
    /// What others may have settled.
    recall: Recall,
    /// Whether rows that others have settled still wait in their lanes.
    stale: bool,
    lanes: Lanes,
    in_flight: InFlight,
    timers: Timers,
    /// What is to be sent, in order. Keys of messages that were settled meanwhile are passed over.
    outgoing: VecDeque<Key>,

    settler: Settler,
    /// Outcomes that wait for a reply handler, and those whose handler runs.
    to_handle: ReplyQueue,
    handling: FuturesUnordered<BoxFuture<'static, Handled>>,
    /// Ends with the leadership.
    leading: CancellationToken,
    _leading: DropGuard,
    unsettled: Unsettled,
    /// When the backlog was noted, and whether it is being.
    noted: Instant,
    noting: bool,
    pace: Pace,

    jobs: FuturesUnordered<Job>,
    reading: bool,
    fetching: bool,
    beating: bool,
    /// Until when the next page is held back, as was found in this turn.
    hold: Option<Instant>,
    /// When a statement was last answered, or begun after a silence of ours.
    answered: Instant,
    /// The question whether the session waits for a synchronous standby, and when it is asked next at the earliest.
    standby: FuturesUnordered<BoxFuture<'static, bool>>,
    standby_check: Instant,
    /// When it was last seen to wait so, if it does.
    waits: Option<Instant>,
    /// The end of the wait for the last replies, once we are told to stop.
    until: Option<Instant>,
    /// When NATS was last seen to be there.
    connected_at: Instant,
    now: Instant,
    /// Replies that a trigger has taken away: as long as there are any, nothing is sent.
    swallowed: HashMap<i64, Hold>,
    /// Why nothing can be settled, as readiness says it.
    said: Option<String>,
    /// Reused between turns.
    fired: Vec<Key>,
}

impl Leader {
    /// Begins to lead on a session that has the lock: finds out what there is to do, and is ready to send.
    pub async fn begin(
        app: &Context,
        outbox: Outbox,
        pid: i32,
        server: BoxStream<'static, AsyncMessage>,
        missed: Arc<AtomicBool>,
        claim: Claim,
    ) -> Result<Self, Fall> {
        let config = &app.config;
        let now = Instant::now();
        outbox.listen(&config.service).await?;
        let sender = Sender::new(&app.source, &app.keys);
        // Before anything is sent: a reply to a leader before us settles too.
        let replies = app.nats.subscribe(sender.replies().wildcard()).await?;
        let bounds = Bounds {
            lane: config.limits.lane,
            total: config.limits.in_flight,
            bytes: config.limits.in_flight_bytes,
            page: usize::try_from(config.dispatch.page).unwrap_or(usize::MAX),
        };
        let mut lanes = Lanes::new(bounds);
        let mut unsettled = Unsettled::default();
        let cursor = outbox.cursor().await?;
        recovery::pending(&outbox, &cursor, &mut lanes, &mut unsettled).await?;
        if cursor.clean {
            // From here on something that the cursor does not know of may have been sent.
            outbox.move_cursor(&Cursor { clean: false, ..cursor.clone() }).await?;
        }
        // What the leader before has sent and could not settle is not sent once more.
        let stuck = match cursor.clean && cursor.pending.is_empty() {
            true => None,
            false => outbox.try_to_settle().await?.map(|reason| outbox.stuck().hold(reason)),
        };
        // What is published from now on does not wait until all that is looked through.
        let floor = Floor::new(config.maintenance.partition_rows, cursor.snapshot.clone());
        let (reader, recovery) = if cursor.clean {
            (Reader::new(cursor.snapshot), None)
        } else {
            let now = outbox.snapshot().await?;
            (Reader::new(now.clone()), Some(Reader::of_window(cursor.snapshot, now)))
        };
        let connection = app.nats.statistics().connects.load(Ordering::Relaxed);
        let leading = CancellationToken::new();
        let leader = Self {
            pid,
            counts: app.counts.clone(),
            outbox: Arc::new(outbox),
            nats: app.nats.clone(),
            replies: replies.ready_chunks(REPLIES),
            server,
            missed,
            cancel_channel: config.service.cancel_channel(),
            claim,
            sender,
            barrier: Barrier::new(Uid::v7(random::next_u64(), random::bytes()), connection),
            again: app.link.again.listen(),
            forbidden: app.link.said.forbidden(),
            bell: Bell::new(config.dispatch.park_after, config.dispatch.slow_poll, now),
            reader,
            floor,
            recovery,
            looking: false,
            recall: Recall::new(now),
            stale: false,
            lanes,
            in_flight: InFlight::default(),
            timers: Timers::new(now),
            outgoing: VecDeque::new(),
            settler: Settler::default(),
            to_handle: ReplyQueue::new(config.pool_max),
            handling: FuturesUnordered::new(),
            _leading: leading.clone().drop_guard(),
            leading,
            unsettled,
            noted: now,
            noting: false,
            pace: Pace::new(now),
            jobs: FuturesUnordered::new(),
            reading: false,
            fetching: false,
            beating: true,
            hold: None,
            answered: now,
            standby: FuturesUnordered::new(),
            standby_check: now,
            waits: None,
            until: None,
            connected_at: now,
            now,
            swallowed: HashMap::new(),
            said: None,
            fired: Vec::new(),
            app: app.clone(),
        };
        let beat = leader.outbox.clone();
        leader.jobs.push(async move { beat.heartbeat().await.map(Done::Beat) }.boxed());
        if let Some(hold) = stuck {
            leader.jobs.push(jobs::until_it_settles(leader.outbox.clone(), hold).boxed());
        }
        Ok(leader)
    }

    /// Leads until it is told to stop (`Ok`) or falls.
    pub async fn lead(mut self) -> Result<(), Fall> {
        loop {
            self.now = Instant::now();
            let connected = self.nats.connection_state() == State::Connected;
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
                Event::Done(done) => self.on_done(done?)?,
                Event::Replies(Some(replies)) => replies.iter().for_each(|reply| self.on_reply(reply)),
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
                    room.map_err(|_| Fall::Nats)?;
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
        let sends = connected && !self.outgoing.is_empty() && !self.outbox.stuck().is_stuck();
        let wake = self.wake_at(connected);
        let stop = self.app.stop.clone();
        tokio::select! {
            Some(done) = self.jobs.next(), if !self.jobs.is_empty() => Event::Done(done),
            replies = self.replies.next() => Event::Replies(replies),
            Some(handled) = self.handling.next(), if !self.handling.is_empty() => Event::Handled(handled),
            Some(waits) = self.standby.next(), if !self.standby.is_empty() => Event::Standby(waits),
            room = std::future::poll_fn(|cx| self.nats.poll_ready_unpin(cx)), if sends => Event::Room(room),
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
        let silent = self.heard() + SILENCE;
        let heartbeat = if self.beating {
            silent
        } else {
            (self.answered + self.app.config.dispatch.heartbeat).min(silent)
        };
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
            self.standby_due(),
            self.until,
            connected.then(|| self.claim.due()),
            (!connected).then(|| self.now + RECONNECT_CHECK),
        ];
        times.into_iter().flatten().fold(heartbeat, Instant::min)
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

    /// What the server has of the events is known for the connection they went over only, and what a lost one held of requests
    /// and replies is lost.
    fn look_at_connection(&mut self) {
        let connection = self.nats.statistics().connects.load(Ordering::Relaxed);
        if let Some(Echo::Unsure(events)) = self.barrier.connected(connection) {
            events.into_iter().for_each(|key| self.send_again(key));
            self.send_flying_again(|_| true);
        }
    }

    /// When the session last gave a sign of life, by an answer or by waiting for a standby.
    fn heard(&self) -> Instant {
        self.waits.map_or(self.answered, |seen| seen.max(self.answered))
    }

    fn show(&mut self) {
        let stuck = self.outbox.stuck().reason();
        if stuck != self.said {
            match &stuck {
                Some(reason) => {
                    let text =
                        format!("replies cannot be written, and nothing is sent until they can: {reason}");
                    self.app.health.fail(stuck::CHECK, text);
                }
                None => self.app.health.ok(stuck::CHECK),
            }
            self.said = stuck;
        }
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
