//! Takes requests from NATS and gives them to handlers.
//!
//! One loop takes messages from the subscription; each runs in a task of its own. The number of
//! handlers at work is bounded. Beyond it the answer is `overloaded`, which has a requester try
//! again a little later.

mod answer;
mod at_once;
mod batched;
mod discovery;
mod intake;
mod later;
mod method_counts;
mod next_run;
mod request;
mod serve;
mod serving;
mod sql_methods;
mod stateless;
mod transactional;
mod tries;
mod work;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tpro_runtime::{nats, random};

use self::{answer::ReplyHeaders, discovery::Discovery, intake::Intake, serving::Serving};
use crate::{
    catalogue::Catalogue,
    handler::{Handlers, calls::Calls},
    host::Host,
    inbox::Inbox,
    peers::Peers,
    turn::Turn,
};

/// The longest wait for the server to know the subscription.
const KNOWN: Duration = Duration::from_secs(2);

/// The subscription of this copy.
pub struct Subscriber {
    app: Arc<Host>,
    replies: Arc<ReplyHeaders>,
    peers: Arc<Peers>,
    /// Tells the intake to take no more; it says when it has taken the last.
    drain: oneshot::Sender<()>,
    intake: JoinHandle<()>,
    /// Messages at work.
    at_work: TaskTracker,
    /// Stops the handlers at work.
    stop: CancellationToken,
    /// Ends the parts that handlers rely on.
    over: CancellationToken,
    writer: JoinHandle<()>,
}

/// Subscribes `<space>.<service>.>` in the queue group, as it is this copy's turn; returns when the
/// server knows the subscription.
pub async fn start(app: &Host, service: Arc<Handlers>, turn: Turn) -> Subscriber {
    let app = Arc::new(app.clone());
    let over = app.stop.hard.child_token();
    let stop = app.stop.hard.child_token();
    app.stop.tasks.spawn(turn.serve());
    let calls = Calls::start(&app, over.clone());
    let (inbox, writer) = Inbox::start(&app, over.clone());
    // Before the queue group: each copy is to know this one before it can get a message.
    let (peers, passed) = Peers::start(&app, &service, over.clone()).await;
    let name = &app.source.service;
    let subject = format!("{}.{name}.>", app.config.space);
    let messages = app.nats.queue_subscribe(subject, name.queue_group());
    let (drain, drained) = oneshot::channel();
    let at_work = TaskTracker::new();
    let serving = Arc::new(Serving::new(app.clone(), service, calls, inbox, peers.clone(), stop.clone()));
    let replies = serving.headers.clone();
    let copy = format!("{:016x}", random::next_u64());
    app.stop.tasks.spawn(Catalogue::new(&app, &serving.service, &copy).run(app.stop.soft.clone()));
    let discovery = Discovery::start(serving.clone(), copy);
    app.stop.tasks.spawn(discovery.run(app.stop.soft.clone()));
    let intake = Intake::new(serving, at_work.clone());
    let intake = app.stop.tasks.spawn(intake.run(messages, passed, drained));
    // Without a connection there is nothing to wait for: with the next one the subscription is made
    // again.
    let known = nats::delivered(&app.nats, &app.config.service);
    let _ = tokio::time::timeout(KNOWN, app.stop.soft.run_until_cancelled(known)).await;
    Subscriber { app, replies, peers, drain, intake, at_work, stop, over, writer }
}

impl Subscriber {
    /// Takes no more, lets the handlers at work finish up to the deadline, and waits until the
    /// server has their answers.
    ///
    /// Handlers that are still at work then are stopped: their transactions roll back, and their
    /// requesters are told to try elsewhere.
    pub async fn drain(self, deadline: Instant) {
        let deadline = deadline.into();
        self.peers.leave(deadline).await;
        // It fails if the intake has ended by itself, with the connection.
        let _ = self.drain.send(());
        let finished = async {
            let _ = self.intake.await;
            self.at_work.close();
            self.at_work.wait().await;
        };
        let mut finished = std::pin::pin!(finished);
        if tokio::time::timeout_at(deadline, &mut finished).await.is_err() {
            self.stop.cancel();
            finished.await;
        }
        // The last message has let go of the inbox, so its writer ends when everything is written.
        let _ = tokio::time::timeout_at(deadline, self.writer).await;
        if self.replies.spoke_lately() {
            // On a slow line the last answers take their time.
            let _ =
                tokio::time::timeout_at(deadline, nats::delivered(&self.app.nats, &self.app.config.service))
                    .await;
        }
        self.over.cancel();
    }
}
