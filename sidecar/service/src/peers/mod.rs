//! The other copies of this service, and the methods that each of them has.
//!
//! While a service is replaced by its next release, copies of both are in its queue group, and NATS
//! gives a message to any of them. A copy that does not have the method passes the message on to
//! one that does. Only if no copy has it, the requester is told that the method is unknown.
//!
//! Copies tell each other their methods on `_INBOX.tpro.<service>.peers.<space>`: each when it
//! comes and when it leaves, and all when one of them asks. A copy asks only when it gets a method
//! that it does not have, at most once in [`ASK_AGAIN`]. A message goes to a copy that was heard
//! lately, and else to one that had the method when it was heard last: if that copy is gone, NATS
//! says so to the requester. Messages that were passed on come to a
//! copy on `_INBOX.tpro.<service>.passed.<copy>`. On a server with permissions only the service
//! itself may publish to these subjects. Copies of another database count as strangers: they have
//! another inbox.
//!
//! Copies of release 0.1.0 neither tell nor ask.

mod company;
mod word;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt as _;
use tokio::{
    sync::{Notify, Semaphore},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tpro_runtime::{
    nats::{Block, Message, Publication, PublishError, Subscriber},
    random,
};
use tpro_wire::{Target, headers};

use self::{company::Company, word::Word};
use crate::{handler::Handlers, host::Host};

#[cfg(doc)]
use self::company::ASK_AGAIN;

/// The longest wait for the words of other copies. One that has died costs it until it is
/// forgotten.
const PATIENCE: Duration = Duration::from_millis(500);
/// The time for copies of which nothing is known.
const STRANGERS: Duration = Duration::from_millis(250);
/// Messages that may wait for the answers of others.
const WAITING_MAX: usize = 16;

/// The result of a search for a copy that has a method.
pub(crate) enum Found {
    /// This copy has it.
    Copy(String),
    /// All that are there have told that they do not.
    Nobody,
    /// Too many messages wait for the answers of the others.
    Later,
}

/// The other copies of this service, as this copy knows them.
pub(crate) struct Peers {
    app: Arc<Host>,
    /// The subject of the words.
    subject: String,
    /// The name of this copy among them.
    copy: String,
    methods: Vec<String>,
    company: Mutex<Company>,
    /// Held while this copy asks: one question serves all messages that wait for the answers.
    asking: tokio::sync::Mutex<()>,
    waiting: Semaphore,
    heard: Notify,
    /// This copy takes no more: it has told so, and answers no question.
    left: AtomicBool,
}

impl Peers {
    /// Listens to the other copies until `over`. The subscription is for the messages that they
    /// pass on. To be started before this copy joins the queue group: then each of them knows its
    /// methods before it can get a message.
    pub(crate) async fn start(
        app: &Arc<Host>,
        service: &Handlers,
        over: CancellationToken,
    ) -> (Arc<Self>, Subscriber) {
        let name = &app.source.service;
        let peers = Arc::new(Self {
            subject: format!("_INBOX.tpro.{name}.peers.{}", app.config.space),
            copy: format!("{:016x}", random::next_u64()),
            methods: service.methods().into_iter().map(|(method, _)| method.to_owned()).collect(),
            company: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
            waiting: Semaphore::new(WAITING_MAX),
            heard: Notify::new(),
            left: AtomicBool::new(false),
            app: app.clone(),
        });
        let passed = app.nats.subscribe(peers.takes(&peers.copy));
        let words = app.nats.subscribe(peers.subject.clone());
        app.stop.tasks.spawn(peers.clone().listen(words, over));
        peers.tell(true).await;
        (peers, passed)
    }

    /// Hears the words of the others, and answers those who ask.
    async fn listen(self: Arc<Self>, mut words: Subscriber, over: CancellationToken) {
        while let Some(Some(message)) = over.run_until_cancelled(words.next()).await {
            // An answer of this service has headers, and may have been asked to come here.
            if message.has_headers() {
                continue;
            }
            let Some(word) = Word::read(message.payload()) else { continue };
            if word.instance != self.app.source.instance || word.copy == self.copy {
                continue;
            }
            let asks = word.asks;
            self.company().hear(word, std::time::Instant::now());
            self.heard.notify_waiters();
            if asks {
                self.tell(false).await;
            }
        }
    }

    /// Tells the others that this copy leaves: nothing is passed on to it from now on. Waits a
    /// moment for their words: what each has passed on before its word is here, too.
    pub(crate) async fn leave(&self, deadline: Instant) {
        self.left.store(true, Ordering::Relaxed);
        let asked = Instant::now();
        let until = deadline.min(asked + STRANGERS);
        if timeout_at(until, self.tell(true)).await.is_ok() {
            self.hear_until(until, || self.company().have_answered(asked.into_std())).await;
        }
    }

    /// Tells all others the methods of this copy, and none when it has left.
    async fn tell(&self, asks: bool) {
        let methods = if self.left.load(Ordering::Relaxed) { &[][..] } else { &self.methods };
        let word = Word {
            instance: self.app.source.instance,
            copy: self.copy.clone(),
            asks,
            methods: methods.to_vec(),
        };
        let word = Publication { subject: &self.subject, payload: &word.text(), ..Publication::default() };
        if let Err(error) = self.app.nats.publish(word).await {
            tracing::debug!("the other copies could not be told the methods of this one: {error}");
        }
    }

    /// Hears words until this is true, or until a moment.
    async fn hear_until(&self, until: Instant, done: impl Fn() -> bool) {
        loop {
            let mut heard = std::pin::pin!(self.heard.notified());
            // From here on no word is missed.
            heard.as_mut().enable();
            if done() || timeout_at(until, heard).await.is_err() {
                return;
            }
        }
    }

    /// Looks for a copy that has this method.
    pub(crate) async fn find(&self, method: &str) -> Found {
        if let Some(copy) = self.known(method) {
            return Found::Copy(copy);
        }
        let Ok(_waiting) = self.waiting.try_acquire() else { return Found::Later };
        let _asking = self.asking.lock().await;
        let (asked, connection) = (Instant::now(), self.app.nats.connection());
        if !self.company().asked_lately(connection, asked.into_std()) {
            self.ask(method, asked, connection).await;
        }
        let found = self.known(method).or_else(|| self.silent(method));
        found.map_or(Found::Nobody, Found::Copy)
    }

    /// Asks all others for their methods, until one has this method or all have answered.
    async fn ask(&self, method: &str, asked: Instant, connection: u64) {
        self.tell(true).await;
        let all_known = self.company().knows_all(connection);
        let is_enough = || {
            let time = all_known || asked.elapsed() >= STRANGERS;
            self.known(method).is_some() || time && self.company().have_answered(asked.into_std())
        };
        self.hear_until(asked + STRANGERS, is_enough).await;
        if !is_enough() {
            self.hear_until(asked + PATIENCE, is_enough).await;
        }
        self.company().asked(asked.into_std(), connection, std::time::Instant::now());
    }

    fn silent(&self, method: &str) -> Option<String> {
        self.company().find_silent(method, random::next_u64()).map(str::to_owned)
    }

    fn known(&self, method: &str) -> Option<String> {
        self.company().find(method, std::time::Instant::now(), random::next_u64()).map(str::to_owned)
    }

    /// Passes a message on to another copy, with the rest of its budget.
    pub(crate) async fn pass(
        &self,
        copy: &str,
        message: &Message,
        left: Option<Duration>,
    ) -> Result<(), PublishError> {
        let mut block = Block::default();
        let ours = |name: &str| name == headers::PASSED || (left.is_some() && name == headers::BUDGET_MS);
        for (name, value) in message.headers().filter(|(name, _)| !ours(name)) {
            block.add(name, value);
        }
        block.add(headers::PASSED, message.subject());
        if let Some(left) = left {
            block.add_number(headers::BUDGET_MS, u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        }
        let (subject, reply, payload) = (&self.takes(copy), message.reply(), message.payload());
        self.app.nats.publish(Publication { subject, reply, headers: Some(&block), payload }).await
    }

    /// The message as its sender sent it. None if nobody can have sent it to this service.
    pub(crate) fn unpack(&self, message: &Message) -> Option<Message> {
        let subject = passed(message)?;
        let target = Target::parse(subject).ok()?;
        let ours = format!("{}.{}.{}", self.app.config.space, self.app.source.service, target.method());
        (*subject == *ours).then(|| message.on(subject))
    }

    /// The subject from which a copy takes messages that were passed on.
    fn takes(&self, copy: &str) -> String {
        format!("_INBOX.tpro.{}.passed.{copy}", self.app.source.service)
    }

    fn company(&self) -> MutexGuard<'_, Company> {
        self.company.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The subject that a message had before another copy passed it on; none if no copy did.
pub(crate) fn passed(message: &Message) -> Option<&str> {
    message.header(headers::PASSED)
}
