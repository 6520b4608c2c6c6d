//! The words of the server, kept for readiness and told to the parts that they concern.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Notify, broadcast};
use tpro_wire::go;

/// The time for which a refused publication counts when it is not refused again. Only another
/// publication shows if it is allowed by now, and nothing is published to find that out.
const REFUSAL_LASTS: Duration = Duration::from_secs(8);
/// Refusals that are kept.
const KEPT: usize = 16;
/// Between two lines in the log about the same subject, or with the same words of the server.
const LOG_PAUSE: Duration = Duration::from_secs(1);
/// Different ones within that pause; all others share one line.
const LOGGED: usize = 64;

/// Subjects of discovery by the tools of NATS. A service does its work without them.
const DISCOVERY: &str = "$SRV.";
/// Subjects under which a copy hears of others. A service does its work without them, too.
const HEARING: &str = "_INBOX.tpro-";

/// A subscription by its subject and its queue group.
pub(super) type Subscription = (String, Option<String>);

/// The words of the server. All clones share them.
#[derive(Clone)]
pub struct Said(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    forbidden: broadcast::Sender<Arc<str>>,
    /// Something is refused that was not before.
    refused: Notify,
}

#[derive(Default)]
struct State {
    /// The reason why there is no connection.
    away: Option<String>,
    /// The server takes the login no more, in these words.
    login: Option<String>,
    /// A fault of TLS or of a login's file, which only a person can mend.
    no_way: Option<String>,
    subscriptions: BTreeMap<Subscription, ()>,
    publications: BTreeMap<String, Instant>,
    /// Lines that were logged lately, each with the number of times that it was held back since
    /// then.
    logged: BTreeMap<String, (Instant, u64)>,
}

impl Default for Said {
    fn default() -> Self {
        let (state, refused) = Default::default();
        Self(Arc::new(Inner { state, forbidden: broadcast::Sender::new(256), refused }))
    }
}

impl Said {
    /// Subjects to which the server has refused to publish, one by one.
    pub fn forbidden(&self) -> broadcast::Receiver<Arc<str>> {
        self.0.forbidden.subscribe()
    }

    /// Waits until something is refused that was not before. For one waiter.
    pub async fn refusal(&self) {
        self.0.refused.notified().await;
    }

    /// The login is good, and its rights are not known yet.
    pub(super) fn accepted(&self) {
        let mut state = self.lock();
        (state.away, state.login, state.no_way) = (None, None, None);
        state.subscriptions.clear();
    }

    pub(super) fn away(&self, why: String) {
        self.lock().away = Some(why);
    }

    /// There is no way to a server, until a person mends it.
    pub(super) fn no_way(&self, why: String) {
        self.lock().no_way = Some(why);
    }

    /// The reason why there is no way to a server, if only a person can mend it.
    pub(super) fn why_no_way(&self) -> Option<String> {
        self.lock().no_way.clone()
    }

    /// True if the server does not know the login.
    pub(super) fn is_refused(&self) -> bool {
        self.lock().login.is_some()
    }

    /// A message that could not be parsed as it came.
    pub(super) fn unreadable(&self, subject: &str, reason: &'static str) {
        if let Some(left_out) = self.may_log(subject) {
            tracing::warn!(
                nats.subject = subject,
                left_out,
                "a message on {subject} cannot be read as it came: {reason}; the rest of it is taken"
            );
        }
    }

    /// The server has said no.
    pub(super) fn no(&self, text: &str) {
        let lower = text.to_lowercase();
        let quoted = |after: &str| {
            let from = lower.find(after)? + after.len();
            text.get(from..)?.split('"').next().map(str::to_owned)
        };
        let publish = quoted("violation for publish to \"");
        if let Some(question) = publish.as_deref().filter(|subject| go::asked(subject).is_some()) {
            // A service does its work without the answer, and says so itself.
            let _ = self.0.forbidden.send(question.into());
            return;
        }
        if let Some(subject) = publish {
            if subject.starts_with(DISCOVERY) {
                // It is asked again and again.
                tracing::debug!("the NATS server says: {text}");
                return;
            }
            self.refuse_publication(&subject);
        } else if let Some(subject) = quoted("violation for subscription to \"") {
            let queue = quoted("using queue \"");
            let mut state = self.lock();
            if subject.starts_with(HEARING) {
                // It is asked again and again, by another name each time.
                tracing::debug!("the NATS server says: {text}");
                return;
            }
            if state.subscriptions.len() < KEPT && !subject.starts_with(DISCOVERY) {
                state.subscriptions.insert((subject, queue), ());
                self.0.refused.notify_one();
            }
        } else if !lower.contains("timeout")
            && (lower.contains("authorization") || lower.contains("authentication"))
        {
            self.lock().login = Some(text.to_owned());
        }
        if let Some(left_out) = self.may_log(text) {
            tracing::warn!(left_out, "the NATS server says: {text}");
        }
    }

    fn refuse_publication(&self, subject: &str) {
        let mut state = self.lock();
        if state.publications.len() >= KEPT && !state.publications.contains_key(subject) {
            state.publications.pop_first();
        }
        if state.publications.insert(subject.to_owned(), Instant::now()).is_none() {
            self.0.refused.notify_one();
        }
        drop(state);
        // Nobody may be listening.
        let _ = self.0.forbidden.send(subject.into());
    }

    /// The reason why there is no connection. The settings of the login are `keys`.
    pub fn why_away(&self, keys: &str) -> String {
        let state = self.lock();
        match (&state.login, &state.away) {
            (Some(words), _) => format!(
                "NATS refuses the login (\"{words}\"): correct {keys} and start this copy again, or let the server take it"
            ),
            (None, Some(why)) => format!("disconnected; trying again: {why}"),
            (None, None) => "disconnected; trying again".to_owned(),
        }
    }

    /// The subscriptions that the server has refused.
    pub(super) fn refused_subscriptions(&self) -> Vec<Subscription> {
        self.lock().subscriptions.keys().cloned().collect()
    }

    /// The things that the server does not allow, in words. None if it has allowed all lately.
    pub fn refusals(&self, user: &str) -> Option<String> {
        let mut state = self.lock();
        state.publications.retain(|_, last| last.elapsed() < REFUSAL_LASTS);
        let mut refused = Vec::new();
        for (subject, queue) in state.subscriptions.keys() {
            let queue = queue.as_ref().map_or(String::new(), |queue| format!(" in queue group {queue}"));
            refused.push(format!("to subscribe to {subject}{queue}"));
        }
        for subject in state.publications.keys() {
            refused.push(format!("to publish to {subject}"));
        }
        (!refused.is_empty()).then(|| {
            format!(
                "the NATS server forbids {user} {}: allow it in its permissions there",
                refused.join(", ")
            )
        })
    }

    /// The number of lines about this that were held back, if a line may be written now.
    fn may_log(&self, about: &str) -> Option<u64> {
        let now = Instant::now();
        let mut state = self.lock();
        if state.logged.len() >= LOGGED {
            state.logged.retain(|_, (last, left_out)| *left_out > 0 || now < *last + LOG_PAUSE);
        }
        let full = state.logged.len() >= LOGGED && !state.logged.contains_key(about);
        let about = if full { "" } else { about };
        let Some((last, left_out)) = state.logged.get_mut(about) else {
            state.logged.insert(about.to_owned(), (now, 0));
            return Some(0);
        };
        if now < *last + LOG_PAUSE {
            *left_out += 1;
            return None;
        }
        *last = now;
        Some(std::mem::take(left_out))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_refusal_is_waited_for_once() {
        let said = Said::default();
        assert!(said.refusal().now_or_never().is_none(), "nothing is refused");
        for text in ["Publish to \"tpro.Co.x.y\"", "Subscription to \"tpro.main.>\""] {
            let text = format!("Permissions Violation for {text}");
            said.no(&text);
            assert!(said.refusal().now_or_never().is_some(), "{text}");
        }
        said.no("Permissions Violation for Publish to \"tpro.Co.x.y\"");
        assert!(said.refusal().now_or_never().is_none(), "it was refused before");
    }

    #[test]
    fn what_the_server_forbids_is_told_by_subject_and_queue() {
        let said = Said::default();
        let mut forbidden = said.forbidden();
        said.no("Permissions Violation for Subscription to \"tpro.main.>\" using queue \"main-queue\"");
        said.no("Permissions Violation for Publish to \"tpro.Co.x.y\"");
        let text = said.refusals("user main").expect("something is forbidden");
        assert!(text.contains("to subscribe to tpro.main.> in queue group main-queue"), "{text}");
        assert!(text.contains("to publish to tpro.Co.x.y"), "{text}");
        assert_eq!(&*forbidden.try_recv().expect("it is told"), "tpro.Co.x.y");
        assert_eq!(said.refused_subscriptions(), [("tpro.main.>".to_owned(), Some("main-queue".to_owned()))]);
        said.accepted();
        assert!(said.refused_subscriptions().is_empty(), "a new connection asks for all of them again");
    }

    #[test]
    fn what_only_discovery_needs_is_not_missed() {
        let said = Said::default();
        said.no("Permissions Violation for Subscription to \"$SRV.*.main\"");
        said.no("Permissions Violation for Subscription to \"_INBOX.tpro-main.0123\"");
        said.no("Permissions Violation for Publish to \"$SRV.INFO\"");
        assert!(said.refusals("user main").is_none() && said.refused_subscriptions().is_empty());
    }

    #[test]
    fn the_question_for_the_go_system_is_not_missed_and_its_refusal_is_told() {
        let said = Said::default();
        let mut forbidden = said.forbidden();
        said.no("Permissions Violation for Publish to \"jsonrpc://tpro.co.tpro.probe\"");
        assert!(said.refusals("user main").is_none());
        assert_eq!(&*forbidden.try_recv().expect("it is told"), "jsonrpc://tpro.co.tpro.probe");
    }

    #[test]
    fn each_subject_is_named_and_a_flood_of_them_is_not() {
        let said = Said::default();
        assert_eq!(said.may_log("one"), Some(0));
        assert_eq!(said.may_log("one"), None);
        assert_eq!(said.may_log("another"), Some(0));
        let named = (0..1_000).filter(|n| said.may_log(&n.to_string()).is_some()).count();
        assert!(named <= LOGGED, "{named} lines");
    }

    #[test]
    fn a_refused_login_is_told_with_its_settings_until_it_is_taken() {
        let said = Said::default();
        said.away("127.0.0.1:4222 not reachable: refused".into());
        // It would have been taken a little earlier.
        said.no("Authentication Timeout");
        assert!(said.why_away("NATS_TOKEN").contains("127.0.0.1:4222") && !said.is_refused());
        said.no("Authorization Violation");
        assert!(said.why_away("NATS_TOKEN").contains("correct NATS_TOKEN"));
        said.accepted();
        assert_eq!(said.why_away("NATS_TOKEN"), "disconnected; trying again");
    }
}
