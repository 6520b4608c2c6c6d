//! One lane: the window of messages in flight for one target service, and what waits for it.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{in_flight::Key, message::Refusal};
use crate::backoff::jittered;

/// What a window begins with.
pub(super) const FIRST_WINDOW: usize = 128;
/// The least a window shrinks to.
const LEAST_WINDOW: usize = 8;
/// Refused messages kept per lane, with their bodies; beyond it the lane's rows wait as ids.
pub(super) const REFUSED_PER_LANE: usize = 8192;
/// The first pause before a lane that refused is tried again, and the longest.
pub(super) const FIRST_REST: Duration = Duration::from_millis(50);
pub(super) const LONGEST_REST: Duration = Duration::from_secs(1);
/// How often a window may be halved: one burst of refusals is one piece of news.
const SHRINK_PAUSE: Duration = Duration::from_millis(100);
/// How often it is said that nobody runs a service. A service that knows one method and not another is there and is not,
/// message by message.
const NEWS_PAUSE: Duration = Duration::from_secs(10);
/// What a queue of waiting rows keeps room for when it has emptied after a flood.
const KEPT: usize = 1024;

/// A row that waits as its id. The sign of the number carries whether it may have run already (ids are positive), since
/// there may be millions of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting(i64);

impl Waiting {
    pub fn new(id: i64, may_have_run: bool) -> Self {
        Self(if may_have_run { -id } else { id })
    }
    pub fn id(self) -> i64 {
        self.0.abs()
    }
    pub fn may_have_run(self) -> bool {
        self.0 < 0
    }
}

/// How much of the whole a lane may hold.
#[derive(Clone, Copy)]
pub(super) struct Share {
    /// What is free in total.
    pub free: usize,
    /// What it may hold even so.
    pub own: usize,
}

/// A lane whose target refused: nothing of the refused is tried before `until`.
pub(super) struct Rest {
    pub until: Instant,
    pause: Duration,
}

pub(super) struct Lane {
    /// `space.service`.
    pub name: Box<str>,
    pub window: usize,
    /// Sent, or about to be sent, and not answered.
    pub flying: usize,
    /// Answered, and not yet through their reply handler.
    pub handling: usize,
    /// Asked for by a read that is under way.
    pub fetching: usize,
    /// Bytes of the bodies it holds, flying or refused.
    pub bytes: usize,
    /// The mean size of its bodies, lately.
    pub mean: usize,
    pub waiting: VecDeque<Waiting>,
    /// The size of the first of them, if it was fetched and had to be put back; else 0.
    pub first: usize,
    pub refused: VecDeque<Key>,
    /// Refused messages that are still in flight; `refused` may also hold keys of some that are not.
    pub refused_alive: usize,
    pub rest: Option<Rest>,
    pub tight_since: Option<Instant>,
    shrunk: Option<Instant>,
    /// It was said that nobody runs the service, and when.
    deserted: bool,
    said: Option<Instant>,
}

impl Lane {
    /// An empty one with a window of so many messages.
    pub fn new(name: &str, window: usize) -> Self {
        Self {
            name: name.into(),
            window,
            flying: 0,
            handling: 0,
            fetching: 0,
            bytes: 0,
            mean: 0,
            waiting: VecDeque::new(),
            first: 0,
            refused: VecDeque::new(),
            refused_alive: 0,
            rest: None,
            tight_since: None,
            shrunk: None,
            deserted: false,
            said: None,
        }
    }

    /// Messages that may still take off.
    pub fn room(&self, share: Share) -> usize {
        if self.refused_alive >= REFUSED_PER_LANE {
            return 0;
        }
        self.window_left(share)
    }

    /// What its window leaves, however many are refused.
    fn window_left(&self, share: Share) -> usize {
        let held = self.flying + self.handling + self.fetching;
        self.most(share).saturating_sub(held)
    }

    fn most(&self, share: Share) -> usize {
        self.window.min(share.free.max(share.own))
    }

    /// Half of what it may hold, which is worth a read.
    pub fn enough(&self, share: Share, page: usize) -> usize {
        (self.most(share) / 2).min(page)
    }

    /// A flying message found nobody; it waits among the refused. Returns whether it is news that nobody runs the service.
    pub fn refuse(&mut self, key: Key, refusal: Refusal, now: Instant) -> bool {
        self.flying -= 1;
        self.refused.push_back(key);
        self.refused_alive += 1;
        self.rest.get_or_insert_with(|| Rest { until: now + jittered(FIRST_REST), pause: FIRST_REST });
        if refusal == Refusal::Overloaded && self.shrunk.is_none_or(|last| now >= last + SHRINK_PAUSE) {
            self.shrunk = Some(now);
            self.window = (self.window / 2).max(LEAST_WINDOW);
        }
        let absent = refusal == Refusal::NoResponders;
        let news = absent && !self.deserted && self.said.is_none_or(|last| now >= last + NEWS_PAUSE);
        if news {
            (self.deserted, self.said) = (true, Some(now));
        }
        news
    }

    /// A refused message that may be sent again now; it flies. While the lane rests it is one at a time.
    pub fn next_refused(
        &mut self,
        share: Share,
        now: Instant,
        mut alive: impl FnMut(Key) -> bool,
    ) -> Option<Key> {
        self.forget_settled(&mut alive);
        let rested = self.rest.as_ref().is_none_or(|rest| now >= rest.until);
        // Also when so many are refused that nothing new is taken up: else none would ever find out that somebody is there.
        if !rested || self.window_left(share) == 0 {
            return None;
        }
        let key = std::iter::from_fn(|| self.refused.pop_front()).find(|key| alive(*key))?;
        if let Some(rest) = &mut self.rest {
            rest.pause = (rest.pause * 2).min(LONGEST_REST);
            rest.until = now + jittered(rest.pause);
        }
        self.refused_alive -= 1;
        self.flying += 1;
        Some(key)
    }

    /// Drops keys of refused messages that were settled meanwhile, so that a lane that stays dead does not grow.
    fn forget_settled(&mut self, mut alive: impl FnMut(Key) -> bool) {
        if self.refused.len() > 2 * self.refused_alive + 64 {
            self.refused.retain(|key| alive(*key));
        }
    }

    /// Somebody of the service is there and answers. Returns whether that is news.
    pub fn alive(&mut self, most: usize) -> bool {
        self.window = (self.window + 1).min(most);
        self.rest = None;
        std::mem::take(&mut self.deserted)
    }

    /// Hands out so many of the rows that wait; they are going to be fetched.
    pub fn fetch(&mut self, count: usize, take: impl FnMut(Waiting)) {
        self.fetching += count;
        self.first = 0;
        self.waiting.drain(..count).for_each(take);
        if self.waiting.is_empty() {
            // After a flood the queue would keep its largest size.
            self.waiting.shrink_to(KEPT);
        }
    }

    /// Whether it holds nothing and nothing waits for it.
    pub fn is_idle(&self) -> bool {
        let holds = self.flying + self.handling + self.fetching + self.refused_alive;
        holds == 0 && self.waiting.is_empty()
    }
}

/// The mean with one more size, the last ones counting most.
pub(super) fn smoothed(mean: usize, bytes: usize) -> usize {
    if mean == 0 { bytes } else { (mean * 7 + bytes) / 8 }
}
