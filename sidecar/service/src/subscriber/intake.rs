//! The loop that takes messages from the subscription.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt as _, StreamExt as _, poll};
use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};
use tokio_util::task::TaskTracker;
use tpro_runtime::{
    failpoint,
    nats::{Client, Message, Publication, Subscriber, disconnected},
    random,
};
use tpro_wire::{Priority, ReplyState, ServiceName, headers};

use super::{
    at_once::AtOnce,
    request::{Back, Form},
    serve::serve,
    serving::Serving,
};

/// The longest wait of a message for a free handler while the copy keeps up. Short bursts of fast
/// handlers pass; those of slow ones are sent elsewhere.
const PATIENCE: Duration = Duration::from_millis(20);
/// For each so many handlers there is one more for messages above priority 0, for when all others
/// are at work.
const RESERVE: usize = 8;
/// The longest wait of an event: nobody sends it again.
const EVENT_PATIENCE: Duration = Duration::from_secs(60);
/// The longest time for the server to say that it has heard us.
const ROUND_TRIP: Duration = Duration::from_secs(2);
/// The longest time for a copy that has taken nothing recently: nothing is on its way that would be
/// lost.
const IDLE_ROUND_TRIP: Duration = Duration::from_millis(500);
/// The age up to which a message counts as recent.
const LATELY: Duration = Duration::from_secs(10);

/// A first step that takes longer keeps the other messages waiting too long. Then the next ones run
/// in tasks of their own from the start, so that all processors share in them.
const LONG_STEP: Duration = Duration::from_micros(100);
/// The number of messages after which it is tried again.
const APART: u32 = 256;

/// The part that takes messages.
pub(super) struct Intake {
    serving: Arc<Serving>,
    at_work: TaskTracker,
    permits: Arc<Semaphore>,
    /// Places for messages of a higher priority.
    reserve: Arc<Semaphore>,
    /// Events that wait for a handler.
    waiting_events: Arc<Semaphore>,
    /// True if the last message found no handler free in time. Then the next ones do not wait: the
    /// queue behind them would grow.
    saturated: bool,
    /// The time of the last message.
    taken: Option<Instant>,
    /// Messages still to be run in tasks of their own from the start.
    apart: u32,
}

impl Intake {
    pub(super) fn new(serving: Arc<Serving>, at_work: TaskTracker) -> Self {
        let most = serving.app.config.limits.handlers;
        Self {
            serving,
            at_work,
            permits: Arc::new(Semaphore::new(most)),
            reserve: Arc::new(Semaphore::new(most / RESERVE)),
            waiting_events: Arc::new(Semaphore::new(most * 4)),
            saturated: false,
            taken: None,
            apart: 0,
        }
    }

    /// Takes messages, also those that other copies pass on, until told to drain. Then it takes
    /// those that are on their way.
    pub(super) async fn run(
        mut self,
        mut messages: Subscriber,
        mut passed: Subscriber,
        drain: oneshot::Receiver<()>,
    ) {
        let mut drain = std::pin::pin!(drain);
        loop {
            // One of these for each of the others, so that neither waits behind a flood.
            self.take_passed(passed.next_here()).await;
            let message = tokio::select! {
                biased;
                message = messages.next() => message,
                Some(message) = passed.next() => {
                    self.take_passed(Some(message)).await;
                    continue;
                }
                _ = &mut drain => break,
                () = self.serving.stop.cancelled() => return,
            };
            let Some(message) = message else { return };
            self.taken = Some(Instant::now());
            if let Some(ms) = failpoint::number("subscriber.stall_ms") {
                tokio::time::sleep(Duration::from_millis(ms.unsigned_abs())).await;
            }
            self.take(message).await;
        }
        self.take_the_last(messages).await;
        // The last of the others came before the echo by which the server has answered.
        while let Some(message) = passed.next_here() {
            self.take_passed(Some(message)).await;
        }
    }

    /// Takes a message that another copy has passed on, if there is one.
    async fn take_passed(&mut self, message: Option<Message>) {
        let Some(message) = message.and_then(|message| self.serving.peers.unpack(&message)) else { return };
        self.taken = Some(Instant::now());
        self.take(message).await;
    }

    /// Leaves the queue group and takes the messages on their way. Without a connection there are
    /// none, and there is nobody to be told.
    async fn take_the_last(&mut self, mut messages: Subscriber) {
        let serving = self.serving.clone();
        let app = &serving.app;
        let round_trip = match self.taken {
            Some(taken) if taken.elapsed() < LATELY => ROUND_TRIP,
            _ => IDLE_ROUND_TRIP,
        };
        let lost = disconnected(&app.nats);
        tokio::select! {
            () = leave_queue_group(&app.nats, &app.source.service, &messages, round_trip) => {}
            () = lost => {}
            () = serving.stop.cancelled() => return,
        }
        while let Some(message) = messages.next_here().filter(|_| !serving.stop.is_cancelled()) {
            self.take(message).await;
        }
    }

    async fn take(&mut self, message: Message) {
        self.serving.app.counts.received.inc();
        let serving = self.serving.clone();
        let place = match serving.places(message.subject()) {
            None => None,
            Some(places) => match places.place() {
                None => return self.wait_for_place(message, places.clone()).await,
                place => place,
            },
        };
        if let Some(permit) = self.permit(&message).await {
            self.run_handler(message, (permit, place)).await;
        } else if message.reply().is_some() {
            refuse(&serving, &message, "").await;
        } else {
            self.let_wait(message, place).await;
        }
    }

    /// The method of a message has no place. It waits for a moment, and an event for longer.
    /// Messages of other methods are taken meanwhile.
    async fn wait_for_place(&self, message: Message, places: AtOnce) {
        let Some(waiting) = places.wait() else {
            return refuse(&self.serving, &message, "too many wait for a place of its method").await;
        };
        let (serving, permits, reserve) = (self.serving.clone(), self.permits.clone(), self.reserve.clone());
        let patience = if message.reply().is_some() { PATIENCE } else { EVENT_PATIENCE };
        let work = self.at_work.track_future(async move {
            let place = async {
                let place = places.next_place().await?;
                if let Ok(permit) = permits.clone().try_acquire_owned() {
                    return Some((permit, place));
                }
                match kept(&reserve, &message) {
                    Some(permit) => Some((permit, place)),
                    None => Some((permits.acquire_owned().await.ok()?, place)),
                }
            };
            let Ok(Some(permits)) = timeout(patience, place).await else {
                return refuse(&serving, &message, "no place of its method became free").await;
            };
            drop(waiting);
            let _at_work = AtWork::count(&serving);
            serve(&serving, message).await;
            drop(permits);
        });
        self.serving.app.stop.tasks.spawn(work);
    }

    /// A place among the handlers of the copy.
    async fn permit(&mut self, message: &Message) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            self.saturated = false;
            return Some(permit);
        }
        if let Some(permit) = kept(&self.reserve, message) {
            return Some(permit);
        }
        if self.saturated {
            return None;
        }
        match timeout(PATIENCE, self.permits.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Some(permit),
            _ => {
                self.saturated = true;
                None
            }
        }
    }

    /// Runs a message: the first step here, and the rest in a task of its own.
    ///
    /// A handler that waits for nothing is over with its first step, and a task for it would cost
    /// as much again as its answer.
    async fn run_handler(&mut self, message: Message, permits: Permits) {
        let serving = self.serving.clone();
        let mut work = Box::pin(self.at_work.track_future(async move {
            let _at_work = AtWork::count(&serving);
            serve(&serving, message).await;
            drop(permits);
        }));
        if self.apart == 0 {
            let begun = Instant::now();
            // A panic of ours must not end the intake; one of a handler's does not come this far.
            let step = AssertUnwindSafe(async { poll!(&mut work).is_ready() }).catch_unwind().await;
            if begun.elapsed() > LONG_STEP {
                self.apart = APART;
            }
            // After a panic there is nothing left to run either.
            if step.unwrap_or(true) {
                return;
            }
        } else {
            self.apart -= 1;
        }
        self.serving.app.stop.tasks.spawn(work);
    }

    /// An event nobody waits for, and nobody sends again: it waits itself, if not too many do.
    async fn let_wait(&self, message: Message, place: Option<OwnedSemaphorePermit>) {
        let Ok(waiting) = self.waiting_events.clone().try_acquire_owned() else {
            return refuse(&self.serving, &message, "too many wait for a handler").await;
        };
        let (serving, permits) = (self.serving.clone(), self.permits.clone());
        let work = self.at_work.track_future(async move {
            let Ok(Ok(permit)) = timeout(EVENT_PATIENCE, permits.acquire_owned()).await else {
                return refuse(&serving, &message, "no handler became free").await;
            };
            drop(waiting);
            let _at_work = AtWork::count(&serving);
            serve(&serving, message).await;
            drop((permit, place));
        });
        self.serving.app.stop.tasks.spawn(work);
    }
}

/// A place among the handlers of the copy, and one of the method if it has a limit of them.
type Permits = (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);

/// One of the places kept for messages above priority 0, if this is one. The header is looked for
/// only here: most messages find another place.
fn kept(reserve: &Arc<Semaphore>, message: &Message) -> Option<OwnedSemaphorePermit> {
    let priority = message.header(headers::PRIORITY).and_then(|text| text.parse().ok());
    (priority > Some(Priority::default())).then(|| reserve.clone().try_acquire_owned().ok()).flatten()
}

/// Says that there is no room: a requester sends the message again. An event is dropped, for this
/// reason.
async fn refuse(serving: &Serving, message: &Message, reason: &str) {
    serving.count_not_run("overloaded");
    if message.reply().is_none() {
        tracing::warn!(tpro.target = message.subject(), "an event is dropped: {reason}");
        return;
    }
    let back = Back::to(message, Form::Json);
    serving.headers.state(&serving.app, &back, ReplyState::Overloaded).await;
}

/// Counted as at work until it is dropped, also by a panic.
struct AtWork(Gauge);

impl AtWork {
    fn count(serving: &Serving) -> Self {
        let at_work = serving.app.counts.at_work.clone();
        at_work.inc();
        Self(at_work)
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Tells the server to send no more, and waits until all messages that it has sent are here.
///
/// Messages that the server sends until it has read the UNSUB would be lost if the subscription
/// ended at once, and each of their requesters would wait for the end of an attempt. Measured with
/// 2 ms to the server, 20 drains under load: 12,042 messages lost this way, none otherwise. So a
/// message to ourselves goes to the server and back behind the UNSUB: when it is here, all messages
/// that were sent before it are here, too.
async fn leave_queue_group(client: &Client, service: &ServiceName, messages: &Subscriber, limit: Duration) {
    let round_trip = async {
        // In our own inbox prefix, which a server with permissions allows.
        let subject = format!("_INBOX.tpro.{service}.drain.{:016x}", random::next_u64());
        let mut echo = client.subscribe(subject.clone());
        messages.leave();
        client.publish(Publication { subject: &subject, ..Publication::default() }).await.ok()?;
        echo.next().await
    };
    // Without an answer the connection is gone, and with it the messages on their way.
    let _ = timeout(limit, round_trip).await;
}
