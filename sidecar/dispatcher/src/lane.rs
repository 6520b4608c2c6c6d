//! One lane: the window of messages in flight for one target service, and what waits for it.

use std::{
    collections::VecDeque,
    hash::BuildHasher as _,
    time::{Duration, Instant},
};

use rustc_hash::FxBuildHasher;
use tpro_runtime::{backoff::jittered, presence::Presence};

use super::{in_flight::Key, message::Refusal};

/// What a window begins with.
pub(super) const FIRST_WINDOW: usize = 128;
/// Refused messages kept per lane, with their bodies; beyond it the lane's rows wait as ids.
pub(super) const REFUSED_PER_LANE: usize = 8192;
/// The first pause before a lane that refused is tried again, and the longest.
pub(super) const FIRST_REST: Duration = Duration::from_millis(50);
pub(super) const LONGEST_REST: Duration = Duration::from_secs(1);
/// The least a window shrinks to.
pub(super) const LEAST_WINDOW: usize = 8;
/// What an answer adds to a window. A refusal by the only copy takes one away, or two where there are few; of several copies
/// each refusal says the less, because NATS chooses among them blindly.
const GROWTH: usize = 3;
/// After a refusal so many answers of the same copy do not widen the window: a quarter of the window, and so many at least.
/// What the copy can do is known then, and each message more would be refused. Without this every answer was followed by
/// three refusals. Answers of a copy that does not refuse widen it all the time, so that a copy that hangs and refuses
/// everything does not keep the others from their work.
const HOLD_SHARE: usize = 4;
const LEAST_HOLD: usize = 16;
/// The most copies that are told apart, and how long one that does not speak is remembered.
const COPIES_MAX: usize = 64;
const SILENT: Duration = Duration::from_secs(10);
/// The shortest pause before an overloaded copy is tried again without an answer, and the longest.
const SHORTEST_REST: Duration = Duration::from_millis(2);
const LONGEST_BUSY_REST: Duration = Duration::from_millis(200);
/// How often a window that meets refusals is cut by an eighth more, so that others who send to the same target have a share.
const CUT_PAUSE: Duration = Duration::from_millis(100);
/// A full window that has met no refusal for so long grows by one even without answers: what fills it may be slow, and the target
/// idle.
const RECOVERY: Duration = Duration::from_millis(100);
/// How often a few rows are read for a lane whose window is not half free.
pub(super) const FETCH_PAUSE: Duration = Duration::from_millis(10);
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
    /// What a lane may hold at most, with what is at its reply handlers.
    pub lane: usize,
}

/// A lane whose target refused: nothing of the refused is tried before `until`.
pub(super) struct Rest {
    pub until: Instant,
    pause: Duration,
}

/// A copy of the target that has spoken lately.
struct Heard {
    who: CopyId,
    at: Instant,
    /// So many of its answers do not widen the window.
    hold: usize,
}

/// Which copy of a target has spoken: a digest of what it calls itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CopyId(u64);

impl CopyId {
    /// Of its name in a reply; strangers have none.
    pub fn of(responder: Option<&str>) -> Self {
        Self(responder.map_or(0, |name| FxBuildHasher.hash_one(name)))
    }
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
    /// When rows were last asked for.
    fetched: Option<Instant>,
    /// Whether that was because half the window was free.
    opened: bool,
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
    /// Those of them that an overloaded copy refused, but for repeats. They keep their places in the window: a lane that took up new
    /// ones for them would have the budgets of more and more run out while the target works on a few.
    overloaded: usize,
    pub rest: Option<Rest>,
    pub tight_since: Option<Instant>,
    /// When the window was last cut.
    cut: Option<Instant>,
    /// Refusals since then.
    refusals: usize,
    /// Refusals that have taken nothing away yet.
    owed: usize,
    /// Copies that have answered or refused lately.
    heard: Vec<Heard>,
    /// Refused messages that may be tried while the lane rests: one for each answer of a copy that has refused, whose place
    /// is free now.
    credit: usize,
    /// When it was last answered, and the mean time between two answers.
    answered: Option<Instant>,
    pace: Duration,
    /// When it last met a refusal, or has grown by time since.
    narrowed: Option<Instant>,
    /// Whether the service is there at all.
    pub presence: Presence,
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
            fetched: None,
            opened: false,
            bytes: 0,
            mean: 0,
            waiting: VecDeque::new(),
            first: 0,
            refused: VecDeque::new(),
            refused_alive: 0,
            overloaded: 0,
            rest: None,
            tight_since: None,
            cut: None,
            refusals: 0,
            owed: 0,
            heard: Vec::new(),
            credit: 0,
            answered: None,
            pace: FIRST_REST,
            narrowed: None,
            // A lane without a name is shared by services of which nothing is kept.
            presence: if name.is_empty() { Presence::known() } else { Presence::default() },
            deserted: false,
            said: None,
        }
    }

    /// New messages that may take off.
    pub fn room(&self, share: Share) -> usize {
        if self.refused_alive >= REFUSED_PER_LANE {
            return 0;
        }
        self.window_left(share).saturating_sub(self.overloaded)
    }

    /// What its window leaves, for the refused as well. What is at reply handlers says nothing about the target, and is bounded by
    /// what a lane may hold at most.
    fn window_left(&self, share: Share) -> usize {
        let beyond = share.lane.min(share.free.max(share.own)).saturating_sub(self.handling);
        self.window.min(beyond).saturating_sub(self.flying + self.fetching)
    }

    fn most(&self, share: Share) -> usize {
        self.window.min(share.free.max(share.own))
    }

    /// Half of what it may hold, which is worth a read.
    pub fn enough(&self, share: Share, page: usize) -> usize {
        (self.most(share) / 2).min(page)
    }

    /// A flying message found nobody; it waits among the refused. Returns whether it is news that nobody runs the service.
    pub fn refuse(&mut self, key: Key, refusal: Refusal, who: CopyId, now: Instant) -> bool {
        self.flying -= 1;
        self.refused.push_back(key);
        self.refused_alive += 1;
        self.overloaded += usize::from(keeps_its_place(refusal));
        self.rest.get_or_insert_with(|| Rest { until: now + jittered(FIRST_REST), pause: FIRST_REST });
        if keeps_its_place(refusal) {
            let window = self.window;
            let copies = self.heard.len().max(1);
            if let Some(heard) = self.hear(who, now) {
                heard.hold = ((window / HOLD_SHARE).max(LEAST_HOLD) / copies).max(1);
            }
            self.shrink(now);
        }
        let absent = refusal == Refusal::NoResponders;
        let news = absent && !self.deserted && self.said.is_none_or(|last| now >= last + NEWS_PAUSE);
        if news {
            (self.deserted, self.said) = (true, Some(now));
        }
        news
    }

    /// A refused message that may be sent again now; it flies. While the lane rests it is one at a time. `refused` tells why a
    /// message was refused, if it still waits for another try.
    pub fn next_refused(
        &mut self,
        share: Share,
        now: Instant,
        mut refused: impl FnMut(Key) -> Option<Refusal>,
    ) -> Option<Key> {
        self.forget_settled(&mut refused);
        let rested = self.rest.as_ref().is_none_or(|rest| now >= rest.until);
        // Also when so many are refused that nothing new is taken up: else none would ever find out that somebody is there.
        if !(rested || self.credit > 0) || self.window_left(share) == 0 {
            return None;
        }
        let (key, refusal) = std::iter::from_fn(|| self.refused.pop_front())
            .find_map(|key| refused(key).map(|refusal| (key, refusal)))?;
        if !rested {
            self.credit -= 1;
        }
        if let Some(rest) = &mut self.rest {
            rest.pause = match refusal {
                // Who is busy may have room at any moment, and then others come, too.
                Refusal::Overloaded { .. } => (rest.pause * 2).min(LONGEST_BUSY_REST),
                Refusal::NoResponders | Refusal::Forbidden | Refusal::Unsupported(_) => {
                    (rest.pause * 2).min(LONGEST_REST)
                }
            };
            rest.until = now + jittered(rest.pause);
        }
        self.leave_refused(refusal);
        self.flying += 1;
        Some(key)
    }

    /// Refused messages that hold no place in the window.
    pub fn absent(&self) -> usize {
        self.refused_alive - self.overloaded
    }

    /// A message is no longer one of the refused.
    pub fn leave_refused(&mut self, refusal: Refusal) {
        self.refused_alive -= 1;
        self.overloaded -= usize::from(keeps_its_place(refusal));
    }

    /// Drops keys of refused messages that were settled meanwhile, so that a lane that stays dead does not grow.
    fn forget_settled(&mut self, mut refused: impl FnMut(Key) -> Option<Refusal>) {
        if self.refused.len() > 2 * self.refused_alive + 64 {
            self.refused.retain(|key| refused(*key).is_some());
        }
    }

    fn shrink(&mut self, now: Instant) {
        let least = LEAST_WINDOW.min(self.window);
        if self.narrowed.is_none_or(|last| now >= last + CUT_PAUSE) {
            // Those of a burst long ago do not count.
            self.refusals = 0;
        }
        self.refusals += 1;
        let copies = self.heard.len().max(1);
        self.owed += 1;
        let mut less = self.owed / copies;
        self.owed %= copies;
        if self.cut.is_none_or(|last| now >= last + CUT_PAUSE) {
            // By no more than were refused: a copy that hangs refuses what others would take.
            less += (self.window / 8).min(std::mem::take(&mut self.refusals) / copies);
            self.cut = Some(now);
        }
        self.window = self.window.saturating_sub(less).max(least);
        self.narrowed = Some(now);
    }

    /// Notes that this copy has spoken. None when too many have.
    fn hear(&mut self, who: CopyId, now: Instant) -> Option<&mut Heard> {
        let at = match self.heard.iter().position(|heard| heard.who == who) {
            Some(at) => at,
            None => {
                self.heard.retain(|heard| now < heard.at + SILENT);
                if self.heard.len() >= COPIES_MAX {
                    return None;
                }
                self.heard.push(Heard { who, at: now, hold: 0 });
                self.heard.len() - 1
            }
        };
        self.heard[at].at = now;
        Some(&mut self.heard[at])
    }

    /// When `recover` has something to do, if nothing happens before.
    pub fn recovers_at(&self) -> Option<Instant> {
        let full = self.flying + self.fetching >= self.window;
        let waits = !self.waiting.is_empty() || self.refused_alive > 0;
        self.narrowed.filter(|_| full && waits).map(|last| last + RECOVERY)
    }

    /// Lets a window that is full of slow messages grow.
    pub fn recover(&mut self, most: usize, now: Instant) {
        if self.recovers_at().is_some_and(|at| now >= at) {
            self.window = (self.window + 1).min(most);
            self.narrowed = (self.window < most).then_some(now);
        }
    }

    /// A copy of the service has answered a message. Returns whether it is news that somebody is there.
    pub fn alive(&mut self, most: usize, who: CopyId, now: Instant) -> bool {
        if let Some(last) = self.answered.replace(now) {
            let gap = now.saturating_duration_since(last).min(LONGEST_REST);
            self.pace = (self.pace * 7 + gap) / 8;
        }
        let held = self.hear(who, now).is_some_and(|heard| {
            let held = heard.hold > 0;
            heard.hold = heard.hold.saturating_sub(1);
            held
        });
        if held {
            if let Some(rest) = &mut self.rest {
                rest.pause = self.pace.clamp(SHORTEST_REST, FIRST_REST);
            }
            // A place is free there, and no more than that. NATS may choose any of the copies.
            self.credit = (self.credit + self.heard.len()).min(self.refused_alive);
        } else {
            // A window of which little is used says nothing.
            if 2 * (self.flying + self.overloaded) >= self.window {
                self.window = (self.window + GROWTH).min(most);
            }
            (self.rest, self.credit) = (None, 0);
        }
        std::mem::take(&mut self.deserted)
    }

    /// Somebody of the service is there and at work. Returns whether that is news.
    pub fn present(&mut self) -> bool {
        if self.rest.as_ref().is_some_and(|rest| rest.pause > FIRST_REST) {
            self.rest = None;
        }
        std::mem::take(&mut self.deserted)
    }

    /// A copy of the service is back: what was refused may try again now.
    pub fn back(&mut self, now: Instant) {
        if let Some(rest) = &mut self.rest {
            *rest = Rest { until: now, pause: FIRST_REST };
        }
    }

    /// When the rows that wait are worth a read: when half the window is free; after a while for fewer, since the rest of it may be
    /// full of slow messages. None while there is no room.
    pub fn fetches_at(&self, share: Share, page: usize, now: Instant) -> Option<Instant> {
        if self.waiting.is_empty() || self.room(share) == 0 {
            return None;
        }
        let later = self.fetched.map(|last| last + FETCH_PAUSE).filter(|_| !self.is_open(share, page));
        Some(later.unwrap_or(now))
    }

    /// Whether half the window is free, or as much as waits.
    fn is_open(&self, share: Share, page: usize) -> bool {
        self.room(share) >= self.enough(share, page).min(self.waiting.len())
    }

    /// A row that was asked for may fly.
    pub fn fetched_flies(&mut self) {
        if self.opened {
            // How long it takes until it opens again is counted from now.
            self.tight_since = None;
        }
    }

    /// Hands out so many of the rows that wait; they are going to be fetched.
    pub fn fetch(
        &mut self,
        count: usize,
        share: Share,
        page: usize,
        now: Instant,
        take: impl FnMut(Waiting),
    ) {
        (self.opened, self.fetched) = (self.is_open(share, page), Some(now));
        self.fetching += count;
        self.first = 0;
        self.waiting.drain(..count).for_each(take);
        if self.waiting.is_empty() {
            // After a flood the queue would keep its largest size.
            self.waiting.shrink_to(KEPT);
        }
    }

    /// Drops rows that wait and are not to be kept; how many they were.
    pub fn forget_waiting(&mut self, keep: impl Fn(i64) -> bool) -> usize {
        let (before, first) = (self.waiting.len(), self.waiting.front().copied());
        self.waiting.retain(|row| keep(row.id()));
        if self.waiting.front().copied() != first {
            self.first = 0;
        }
        if self.waiting.is_empty() {
            self.waiting.shrink_to(KEPT);
        }
        before - self.waiting.len()
    }

    /// Whether it holds nothing and nothing waits for it.
    pub fn is_idle(&self) -> bool {
        let holds = self.flying + self.handling + self.fetching + self.refused_alive;
        holds == 0 && self.waiting.is_empty()
    }
}

/// Whether a refused message keeps its place in the window.
fn keeps_its_place(refusal: Refusal) -> bool {
    refusal == Refusal::Overloaded { repeat: false }
}

/// The mean with one more size, the last ones counting most.
pub(super) fn smoothed(mean: usize, bytes: usize) -> usize {
    if mean == 0 { bytes } else { (mean * 7 + bytes) / 8 }
}
