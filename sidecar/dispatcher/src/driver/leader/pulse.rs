//! The signs of life of the session that leads: when it last answered, and why a statement of it lasts.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tpro_runtime::db::{Servers, standby};

/// With no statement answered for so long the session is taken for dead: well before followers depose it, which they do
/// after 12 s, so that a black hole towards PostgreSQL is noticed on both sides.
pub(super) const SILENCE: Duration = Duration::from_secs(10);
/// With no statement answered for so long it is asked, by another session, whether this one waits for a synchronous
/// standby, and asked again after as long. A session that does is not dead.
const STANDBY_CHECK: Duration = Duration::from_secs(5);

/// The signs of life of a session.
pub(super) struct Pulse {
    /// When a statement was last answered, or the first one began after a while without any.
    answered: Instant,
    /// How long no statement is answered before a heartbeat is asked for, and whether it was.
    heartbeat: Duration,
    beating: bool,
    /// The question whether the session waits for a synchronous standby, and when it is asked next at the earliest.
    standby: FuturesUnordered<BoxFuture<'static, bool>>,
    next_question: Instant,
    /// When it was last seen to wait so, if it does.
    waits: Option<Instant>,
}

impl Pulse {
    /// The pulse of a session whose first heartbeat is asked for.
    pub fn new(heartbeat: Duration, now: Instant) -> Self {
        Self {
            answered: now,
            heartbeat,
            beating: true,
            standby: FuturesUnordered::new(),
            next_question: now,
            waits: None,
        }
    }

    /// When the session is taken for dead, if it gives no sign of life before: no answer, and no wait for a standby.
    pub fn dies_at(&self) -> Instant {
        self.waits.map_or(self.answered, |seen| seen.max(self.answered)) + SILENCE
    }

    /// When to look at it again.
    pub fn due(&self) -> Instant {
        match self.beating {
            true => self.dies_at(),
            false => (self.answered + self.heartbeat).min(self.dies_at()),
        }
    }

    /// True if it is time to ask for a heartbeat; it is taken for asked.
    pub fn beat(&mut self, now: Instant) -> bool {
        let begins = !self.beating && now >= self.answered + self.heartbeat;
        self.beating |= begins;
        begins
    }

    /// The heartbeat has come back.
    pub fn beaten(&mut self) {
        self.beating = false;
    }

    /// A statement begins after a time without any.
    pub fn begins(&mut self, now: Instant) {
        self.answered = now;
    }

    /// A statement was answered. Returns whether the session was seen to wait for a standby until now.
    pub fn answers(&mut self, now: Instant) -> bool {
        self.answered = now;
        self.waits.take().is_some()
    }

    /// When to ask whether the session waits for a standby, if no statement is answered before.
    pub fn question_due(&self) -> Option<Instant> {
        self.standby.is_empty().then(|| self.next_question.max(self.answered + STANDBY_CHECK))
    }

    /// Asks whether the session with this pid waits for a standby, if it is time.
    pub fn ask(&mut self, servers: &Arc<Servers>, pid: i32, now: Instant) {
        if self.question_due().is_some_and(|due| now >= due) {
            self.next_question = now + STANDBY_CHECK;
            let servers = servers.clone();
            self.standby.push(async move { standby::waits(&servers, pid).await }.boxed());
        }
    }

    /// True while that is asked.
    pub fn is_asking(&self) -> bool {
        !self.standby.is_empty()
    }

    /// The answer once it comes: the session waits for a standby, or does not. None when it was not asked.
    pub async fn next_answer(&mut self) -> Option<bool> {
        self.standby.next().await
    }

    /// The session waits for a standby.
    pub fn waits(&mut self, now: Instant) {
        self.waits = Some(now);
    }
}
