//! The copy that leads: one task that owns the session, the way to NATS and the core.
//!
//! It is an actor: one loop, one state, no locks. Statements are jobs that run on the session while
//! the loop goes on, and their ends come back to the core. What ends the session ends the leader:
//! its state is dropped, nothing is written any more, and the next leader finds out from the tables
//! what there is to do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt as _, StreamExt as _,
    future::BoxFuture,
    stream::{BoxStream, FuturesUnordered, ReadyChunks},
};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_postgres::{AsyncMessage, Notification};
use tpro_runtime::{
    db::standby,
    failpoint,
    nats::{
        Message, Publication, Subscriber,
        again::{AgainReceiver, Whose},
    },
    presence,
};
use tpro_wire::go;

use super::{
    fall::Fall,
    handlers::Handlers,
    headers::incoming,
    jobs::{Job, job},
    outbox::{Outbox, OutboxError, told},
    sending::{Sending, TooLarge},
};
use crate::{
    Context,
    core::{Action, Core, Done, End, Handled, HandlerEnd, Input, Key, Notice, Question},
    election::claim::{Claim, Heard},
};

/// The readiness check of a leader: replies can be written.
pub(crate) const CHECK: &str = "replies";
/// The readiness check of a leader: no service that it sends to is one of the Go system.
pub(crate) const GO_CHECK: &str = "go";
/// The pause between two looks at a lost connection to NATS.
const RECONNECT_CHECK: Duration = Duration::from_millis(50);
/// Messages handed to the NATS client at a time, before replies are looked at again.
const SENDS: usize = 256;

/// A reason for the loop to wake up.
enum Event {
    Done(Result<Done, OutboxError>),
    Replies(Option<Vec<Message>>),
    Server(Option<AsyncMessage>),
    Claim(Heard),
    Again(Whose),
    Forbidden(Arc<str>),
    Room(Result<(), Fall>),
    Handled(Handled),
    /// Waiters were told of replies that handlers have written.
    Told,
    /// The session waits for a synchronous standby, or does not.
    Standby(bool),
    Time,
    Stop,
    Halt,
}

/// The leader.
pub(crate) struct Leader {
    pub(super) app: Context,
    /// The backend of the session that leads.
    pub(super) pid: i32,
    pub(super) core: Core,
    pub(super) outbox: Arc<Outbox>,
    pub(super) replies: ReadyChunks<Subscriber>,
    pub(super) server: BoxStream<'static, AsyncMessage>,
    /// The server has said something that was dropped.
    pub(super) missed: Arc<AtomicBool>,
    pub(super) cancel_channel: String,
    pub(super) due_channel: String,
    pub(super) claim: Claim,
    pub(super) sending: Sending,
    pub(super) again: AgainReceiver,
    pub(super) forbidden: broadcast::Receiver<Arc<str>>,
    /// Statements that are under way.
    pub(super) jobs: FuturesUnordered<Job>,
    pub(super) handlers: Handlers,
    /// Replies that handlers have written, and of which no waiter was told yet.
    pub(super) replied: Vec<i64>,
    /// The word to waiters that is under way: one at a time.
    pub(super) telling: FuturesUnordered<BoxFuture<'static, ()>>,
    /// The question to another session whether this one waits for a synchronous standby.
    pub(super) standby: FuturesUnordered<BoxFuture<'static, bool>>,
    /// It was told to stop.
    pub(super) told: bool,
}

impl Leader {
    /// Leads until it is told to stop (`Ok`) or falls.
    pub(crate) async fn lead(mut self) -> Result<(), Fall> {
        loop {
            let now = Instant::now();
            self.tell_connection(now);
            self.core.handle(Input::Clock(self.app.clock.now()), now);
            if self.sending.is_connected() {
                self.claim.ask_again(now);
            }
            if let Some(end) = self.act(now)? {
                return end;
            }
            match self.next_event().await {
                Event::Halt => return Ok(()),
                event => self.on_event(event)?,
            }
        }
    }

    /// Does what the core asks for. Returns the end, if that is it.
    fn act(&mut self, now: Instant) -> Result<Option<Result<(), Fall>>, Fall> {
        let mut sends = 0;
        while let Some(action) = self.core.poll(now) {
            match action {
                Action::Run(statement) => {
                    self.jobs.push(job(self.outbox.clone(), &self.app.clock, statement));
                }
                Action::Abandon => self.jobs.clear(),
                Action::Send(key) => {
                    sends += 1;
                    self.send(key, now)?;
                    if sends < SENDS && self.sending.has_room() {
                        self.core.handle(Input::Room, now);
                    }
                }
                Action::Forward(reply) => {
                    sends += 1;
                    self.sending.forward(&reply)?;
                    if sends < SENDS && self.sending.has_room() {
                        self.core.handle(Input::Room, now);
                    }
                }
                Action::Ask(question) => self.ask(question, now),
                Action::Handle(handling) => self.handlers.begin(&self.app, handling),
                Action::AskStandby => {
                    let (servers, pid) = (self.app.servers.clone(), self.pid);
                    self.standby.push(async move { standby::waits(&servers, pid).await }.boxed());
                }
                Action::Show(notice) => self.show(notice),
                Action::End(end) => {
                    return Ok(Some(match end {
                        End::Stopped => Ok(()),
                        End::Cut => Err(Fall::Cut),
                        End::Silent => Err(Fall::Silent),
                        End::Broken(why) => Err(Fall::Settle(why)),
                    }));
                }
            }
        }
        Ok(None)
    }

    fn send(&mut self, key: Key, now: Instant) -> Result<(), Fall> {
        let Some(message) = self.core.outgoing(key) else { return Ok(()) };
        let input = match self.sending.send(&message)? {
            Ok(()) => Input::Sent(key),
            Err(TooLarge { size, most }) => Input::TooLarge { key, size, most },
        };
        self.core.handle(input, now);
        Ok(())
    }

    fn ask(&mut self, question: Question, now: Instant) {
        match question {
            Question::Echo { subject } => {
                if failpoint::number("dispatcher.echo_lost").is_none() {
                    self.sending.ask(Publication {
                        subject: &subject,
                        reply: None,
                        headers: None,
                        payload: &[],
                    });
                }
            }
            Question::Presence { lane, subject, reply } => {
                let (reply, headers) = (Some(reply.as_str()), Some(&presence::question()));
                let question = Publication { subject: &subject, reply, headers, payload: &[] };
                let went = self.sending.ask(question);
                self.core.handle(Input::Asked { lane, went }, now);
            }
            Question::Go { lane, subject, reply } => {
                let (reply, payload) = (Some(reply.as_str()), go::QUESTION);
                let question = Publication { subject: &subject, reply, headers: None, payload };
                if !self.sending.ask(question) {
                    self.core.handle(Input::NotAskedForGo(lane), now);
                }
            }
        }
    }

    fn show(&self, notice: Notice) {
        let health = &self.app.health;
        match notice {
            Notice::Standby(true) => health.fail(standby::CHECK, standby::WAITS),
            Notice::Standby(false) => health.ok(standby::CHECK),
            Notice::Replies(Some(reason)) => {
                let text = format!("replies cannot be written, and nothing is sent until they can: {reason}");
                health.fail(CHECK, text);
            }
            Notice::Replies(None) => health.ok(CHECK),
            Notice::Go(lanes) if lanes.is_empty() => health.ok(GO_CHECK),
            Notice::Go(lanes) => {
                let text = format!(
                    "on this NATS the Go system answers for {}, and its copies would end at a message of tpro: nothing is sent there \
                     until they are gone; give tpro a NATS server of its own (docs/migration.md)",
                    lanes.join(", ")
                );
                health.fail(GO_CHECK, text);
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        let sends = self.core.wants_room();
        let wake = self.wake_at();
        let stop = self.app.stop.clone();
        tokio::select! {
            Some(done) = self.jobs.next(), if !self.jobs.is_empty() => Event::Done(done),
            replies = self.replies.next() => Event::Replies(replies),
            Some(handled) = self.handlers.next(), if !self.handlers.is_empty() => Event::Handled(handled),
            Some(()) = self.telling.next(), if !self.telling.is_empty() => Event::Told,
            Some(waits) = self.standby.next(), if !self.standby.is_empty() => Event::Standby(waits),
            room = self.sending.room(), if sends => Event::Room(room),
            message = self.server.next() => Event::Server(message),
            Some(heard) = self.claim.next() => Event::Claim(heard),
            whose = self.again.next() => Event::Again(whose),
            Some(subject) = next_forbidden(&mut self.forbidden) => Event::Forbidden(subject),
            () = tokio::time::sleep_until(wake.into()) => Event::Time,
            () = stop.soft.cancelled(), if !self.told => Event::Stop,
            () = stop.hard.cancelled() => Event::Halt,
        }
    }

    /// The next moment at which there is something to do by itself.
    fn wake_at(&self) -> Instant {
        let ours = match self.sending.is_connected() {
            true => self.claim.due(),
            false => Instant::now() + RECONNECT_CHECK,
        };
        self.core.next_timeout().map_or(ours, |theirs| theirs.min(ours))
    }

    fn on_event(&mut self, event: Event) -> Result<(), Fall> {
        let now = Instant::now();
        match event {
            Event::Done(done) => self.core.handle(Input::Done(done?), now),
            Event::Replies(Some(replies)) => self.on_replies(&replies, now),
            Event::Replies(None) => return Err(Fall::Nats),
            Event::Server(Some(AsyncMessage::Notification(notification))) => {
                self.on_notification(&notification, now);
            }
            Event::Server(Some(_)) | Event::Time | Event::Halt => {}
            Event::Server(None) => return Err(Fall::Closed),
            Event::Claim(heard) => self.claim.heed_leading(&heard)?,
            // Of ours there is more to know first: the loop looks at the connection.
            Event::Again(Whose::All) => {}
            Event::Again(Whose::To(service)) => self.core.handle(Input::Back(&service), now),
            Event::Forbidden(subject) => self.core.handle(Input::Forbidden(&subject), now),
            Event::Room(room) => {
                room?;
                self.core.handle(Input::Room, now);
            }
            Event::Handled(handled) => {
                if matches!(handled.end, HandlerEnd::Written) {
                    self.replied.push(handled.settled.settlement.id);
                    self.tell_waiters();
                }
                self.core.handle(Input::Handled(handled), now);
            }
            Event::Told => self.tell_waiters(),
            Event::Standby(waits) => self.core.handle(Input::Standby(waits), now),
            Event::Stop => {
                self.told = true;
                self.core.handle(Input::Stop, now);
            }
        }
        Ok(())
    }

    /// Tells those who wait of the replies that were committed by their handlers' sessions.
    fn tell_waiters(&mut self) {
        if self.telling.is_empty() && !self.replied.is_empty() {
            let (outbox, ids) = (self.outbox.clone(), std::mem::take(&mut self.replied));
            self.telling.push(async move { outbox.tell_waiters(&ids).await }.boxed());
        }
    }

    /// Replies have come. Among them may be the echo of our events, which says something of this
    /// connection and of what the server has refused before it: that is told first.
    fn on_replies(&mut self, replies: &[Message], now: Instant) {
        self.tell_connection(now);
        while let Ok(subject) = self.forbidden.try_recv() {
            self.core.handle(Input::Forbidden(&subject), now);
        }
        for reply in replies {
            self.core.handle(Input::Reply(incoming(reply)), now);
        }
    }

    fn tell_connection(&mut self, now: Instant) {
        let (up, number) = (self.sending.is_connected(), self.sending.connection());
        self.core.handle(Input::Connection { up, number }, now);
    }

    /// Somebody has published, now or for later, or settled what is ours to settle.
    fn on_notification(&mut self, notification: &Notification, now: Instant) {
        let input = match notification.channel() {
            channel if channel == self.cancel_channel => Input::Cancelled,
            channel if channel == self.due_channel => Input::DueSoon(told(notification.payload())),
            _ => Input::Rung,
        };
        self.core.handle(input, now);
        if self.missed.swap(false, Ordering::Relaxed) {
            // Among those that were dropped there may have been any.
            self.core.handle(Input::Cancelled, now);
            self.core.handle(Input::DueSoon(None), now);
        }
    }
}

/// The next subject to which the server has refused to publish. One that is left out is waited for
/// as long as one without an answer.
async fn next_forbidden(forbidden: &mut broadcast::Receiver<Arc<str>>) -> Option<Arc<str>> {
    match forbidden.recv().await {
        Ok(subject) => Some(subject),
        Err(RecvError::Lagged(_)) => None,
        Err(RecvError::Closed) => std::future::pending().await,
    }
}
