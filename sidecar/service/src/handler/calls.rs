//! The calls of this copy that wait for a reply: one subscription for all, and a map from uid to
//! those who wait.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::StreamExt as _;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::sync::{OnceCell, mpsc};
use tokio_util::sync::CancellationToken;
use tpro_runtime::{
    nats::{Message, Subscriber},
    presence::Presence,
};
use tpro_wire::{ReplyPrefix, Target, Uid};

use crate::host::Host;

/// Services of which something is kept. Beyond it they pass as being there, and as none of the Go
/// system.
const SERVICES: usize = 1024;

/// The calls that wait for replies.
pub(crate) struct Calls {
    prefix: ReplyPrefix,
    /// A uid can be waited for twice: a stateless handler that was delivered twice makes the same
    /// call twice.
    waiting: Mutex<Senders>,
    /// The number of calls that wait.
    count: Gauge,
    next_key: AtomicU64,
    /// The services that were called, by `space.service`.
    services: Mutex<HashMap<Box<str>, Service>>,
}

/// A service that was called.
#[derive(Default)]
struct Service {
    /// The signs that it is there at all.
    presence: Presence,
    /// Set when it is known that the Go system does not answer for it.
    belt: Arc<OnceCell<()>>,
}

/// By uid: the calls that wait.
type Senders = HashMap<Uid, Vec<Sender>>;

/// The way to a call that waits.
struct Sender {
    /// The key by which it is forgotten.
    key: u64,
    /// The service that may answer it.
    asked: Box<str>,
    replies: mpsc::UnboundedSender<Reply>,
}

/// A reply to one attempt.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) attempt: u32,
    pub(crate) message: Message,
}

/// A call that waits. It is forgotten when this is dropped, on every way out.
pub(crate) struct Waiting {
    calls: Arc<Calls>,
    uid: Uid,
    asked: Box<str>,
    key: u64,
    replies: mpsc::UnboundedReceiver<Reply>,
}

impl Calls {
    /// Subscribes to the replies of this copy and hands them out until `over`: handlers at work
    /// finish during a drain, and they wait for replies, so the soft token would be too early.
    pub(crate) fn start(app: &Host, over: CancellationToken) -> Arc<Self> {
        // The bits of the copy's key, without its sign.
        let nonce = app.copy_key.cast_unsigned();
        let prefix = ReplyPrefix::direct(&app.source.service, &app.source.instance, nonce);
        let replies = app.nats.subscribe(prefix.wildcard());
        let calls = Arc::new(Self::new(prefix, app.counts.calls_waiting.clone()));
        app.stop.tasks.spawn(hand_out(calls.clone(), replies, over, app.counts.calls_late.clone()));
        calls
    }

    /// No calls. Nobody hands out replies to them, as in a test without NATS.
    pub(crate) fn new(prefix: ReplyPrefix, count: Gauge) -> Self {
        Self {
            prefix,
            waiting: Mutex::default(),
            count,
            next_key: AtomicU64::new(0),
            services: Mutex::default(),
        }
    }

    /// Waits for the replies of a service to a call from now on.
    pub(crate) fn wait(self: &Arc<Self>, uid: Uid, asked: &str) -> Waiting {
        let (sender, replies) = mpsc::unbounded_channel();
        let key = self.next_key.fetch_add(1, Ordering::Relaxed);
        let mut waiting = self.lock();
        waiting.entry(uid).or_default().push(Sender { key, asked: asked.into(), replies: sender });
        self.count.set(waiting.len() as i64);
        drop(waiting);
        Waiting { calls: self.clone(), uid, asked: asked.into(), key, replies }
    }

    /// Looks at the presence of a target's service, or changes it.
    pub(crate) fn presence<R>(&self, target: &Target, look: impl FnOnce(&mut Presence) -> R) -> R {
        self.with_service(target, |service| match service {
            Some(service) => look(&mut service.presence),
            None => look(&mut Presence::known()),
        })
    }

    /// The belt of a target's service, unless it is open.
    pub(crate) fn belt(&self, target: &Target) -> Option<Arc<OnceCell<()>>> {
        let closed = |service: &Service| (!service.belt.initialized()).then(|| service.belt.clone());
        self.with_service(target, |service| service.and_then(|service| closed(service)))
    }

    /// Looks at what is known of a target's service; none where nothing is kept of it.
    fn with_service<R>(&self, target: &Target, look: impl FnOnce(Option<&mut Service>) -> R) -> R {
        let name = target.space_service();
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        if !services.contains_key(name) && services.len() < SERVICES {
            services.insert(name.into(), Service::default());
        }
        look(services.get_mut(name))
    }

    /// True if nobody waits.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// The reply goes to all that wait for it. If nobody does, it is late.
    fn deliver(&self, message: Message) -> bool {
        let Some((asked, uid, attempt)) = self.prefix.parse(message.subject()) else { return false };
        let waiting = self.lock();
        let Some(senders) = waiting.get(&uid) else { return false };
        for sender in senders.iter().filter(|sender| *sender.asked == *asked) {
            // A call that is gone meanwhile needs no reply.
            let _ = sender.replies.send(Reply { attempt, message: message.clone() });
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Senders> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// The subject for replies to this attempt.
    pub(crate) fn subject(&self, attempt: u32) -> String {
        self.calls.prefix.subject(&self.asked, &self.uid, attempt)
    }

    /// The next reply to any attempt.
    pub(crate) async fn next(&mut self) -> Reply {
        match self.replies.recv().await {
            Some(reply) => reply,
            // The sender is in the map as long as we are, so this does not end.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = self.calls.lock();
        if let Some(senders) = waiting.get_mut(&self.uid) {
            senders.retain(|sender| sender.key != self.key);
            if senders.is_empty() {
                waiting.remove(&self.uid);
            }
        }
        self.calls.count.set(waiting.len() as i64);
    }
}

async fn hand_out(calls: Arc<Calls>, mut replies: Subscriber, over: CancellationToken, late: Counter) {
    while let Some(Some(message)) = over.run_until_cancelled(replies.next()).await {
        if !calls.deliver(message) {
            late.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use tpro_runtime::nats::Block;
    use tpro_wire::ServiceName;
    use uuid::Uuid;

    use super::*;

    fn reply(subject: String) -> Message {
        Message::new(&subject, None, &Block::default(), b"{}")
    }

    #[tokio::test]
    async fn a_reply_reaches_all_that_wait_and_nothing_is_left_behind() {
        let prefix = ReplyPrefix::direct(&ServiceName::parse("main").unwrap(), &Uuid::from_u128(7), 1);
        let calls = Arc::new(Calls::new(prefix, Gauge::default()));
        let uid = Uid::v7(1, [1; 10]);
        let (mut one, mut two) = (calls.wait(uid, "co"), calls.wait(uid, "co"));
        assert!(calls.deliver(reply(one.subject(3))));
        assert_eq!((one.next().await.attempt, two.next().await.attempt), (3, 3));
        drop(one);
        assert!(calls.deliver(reply(two.subject(1))));
        let subject = two.subject(1);
        drop(two);
        assert!(calls.is_empty());
        assert!(!calls.deliver(reply(subject)));
    }
}
