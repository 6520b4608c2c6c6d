//! Outcomes on their way out: at reply handlers, collected for a batch, being written, or stuck.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use tpro_runtime::telemetry::Spans;

use super::{
    reply_queue::{Place, ReplyQueue},
    settle_spans::begin_spans,
    settled::Settled,
    settler::{Settler, Written},
    stuck::{Hold, SWALLOWED, Stuck},
    writing::{Step, Writing},
};

/// The pause before outcomes are tried again that the server had no room for, or refused.
const STUCK_PAUSE: Duration = Duration::from_secs(1);
/// The pause between two tries of a new leader that has found that replies cannot be written.
const TRIAL_PAUSE: Duration = Duration::from_secs(1);

/// The outcomes that are not written yet.
pub struct Settling {
    settler: Settler,
    /// Outcomes that wait for a reply handler, and how many are at one.
    handlers: ReplyQueue,
    /// Batches that cannot be written for now, and when each goes on.
    paused: Vec<(Instant, Box<Writing>)>,
    /// Replies that a trigger has taken away: as long as there are any, nothing is sent.
    swallowed: HashMap<i64, Hold>,
    /// The word of the leader before that nothing could be written, and when it is tried again;
    /// none while it is tried.
    trial: Option<(Hold, Option<Instant>)>,
    stuck: Stuck,
}

impl Settling {
    /// None yet. `pool` is the number of connections for handlers, and `stuck` the reason why
    /// nothing can be written.
    pub fn new(pool: usize, stuck: Option<String>, now: Instant) -> Self {
        let mut all = Stuck::default();
        Self {
            settler: Settler::default(),
            handlers: ReplyQueue::new(pool),
            paused: Vec::new(),
            swallowed: HashMap::new(),
            trial: stuck.map(|reason| (all.hold(reason), Some(now + TRIAL_PAUSE))),
            stuck: all,
        }
    }

    /// True while replies cannot be written.
    pub fn is_stuck(&self) -> bool {
        self.stuck.is_stuck()
    }

    /// The reason why replies cannot be written.
    pub fn stuck_reason(&self) -> Option<&str> {
        self.stuck.reason()
    }

    /// True if no outcome is to be written.
    pub fn is_idle(&self) -> bool {
        self.settler.is_idle() && self.handlers.is_idle()
    }

    /// An outcome is to be written.
    pub fn push(&mut self, settled: Settled, now: Instant) {
        self.settler.push(settled, now);
    }

    /// An outcome goes to its reply handler first.
    pub fn handle(&mut self, settled: Settled) {
        self.handlers.push(settled);
    }

    /// The next outcome whose reply handler may begin.
    pub fn next_to_handle(&mut self) -> Option<(Place, Settled)> {
        self.handlers.next()
    }

    /// A reply handler has ended.
    pub fn handled(&mut self, place: Place) {
        self.handlers.done(place);
    }

    /// The next batch to write now, or to go on with.
    pub fn next_write(&mut self, spans: &Spans, now: Instant) -> Option<Step> {
        if let Some(at) = self.paused.iter().position(|(until, _)| now >= *until) {
            return Some(self.paused.swap_remove(at).1.resume());
        }
        let batch = self.settler.batch(now)?;
        let open = begin_spans(spans, &batch.outcomes);
        Some(Step::Write(Writing::begin(batch, open)))
    }

    /// A batch cannot be written for now.
    pub fn pause(&mut self, mut writing: Box<Writing>, now: Instant) {
        let why = writing.why().to_owned();
        match *writing.hold() {
            Some(hold) => self.stuck.says(hold, why),
            None => *writing.hold() = Some(self.stuck.hold(why)),
        }
        self.settler.pauses();
        self.paused.push((now + STUCK_PAUSE, writing));
    }

    /// A batch was written, but for what is held; its word that it could not be (`hold`) is over.
    /// Gives the outcomes that are written, those that may have a reply handler now, and how long a
    /// batch of so many took, if that is known.
    pub fn written(
        &mut self,
        written: Written,
        hold: Option<Hold>,
        now: Instant,
    ) -> (Vec<Settled>, Vec<Settled>, Option<(usize, Duration)>) {
        let Written { done, held, again, swallowed, retry } = written;
        if let Some(hold) = hold {
            self.stuck.release(hold);
        }
        // Replies that were tried again are written, are swallowed once more, or go another way.
        if !self.swallowed.is_empty() {
            for settled in done.iter().chain(&held).chain(&again) {
                if let Some(hold) = self.swallowed.remove(&settled.settlement.id) {
                    self.stuck.release(hold);
                }
            }
        }
        for id in swallowed {
            let hold = self.stuck.hold(SWALLOWED.to_owned());
            self.swallowed.insert(id, hold);
        }
        // A batch that was not written says nothing of how long that takes.
        let measured = self.settler.written(held, retry, now).filter(|_| again.is_empty());
        (done, again, measured)
    }

    /// True if it is time to try whether replies can be written; it is taken for under way.
    pub fn try_now(&mut self, now: Instant) -> bool {
        match &mut self.trial {
            Some((_, next)) => next.take_if(|next| now >= *next).is_some(),
            None => false,
        }
    }

    /// Replies can be written, or cannot, for this reason.
    pub fn tried(&mut self, reason: Option<String>, now: Instant) {
        let Some((hold, next)) = &mut self.trial else { return };
        match reason {
            Some(reason) => {
                self.stuck.says(*hold, reason);
                *next = Some(now + TRIAL_PAUSE);
            }
            None => {
                self.stuck.release(*hold);
                self.trial = None;
            }
        }
    }

    /// When there is something to write or to try.
    pub fn due(&self) -> Option<Instant> {
        let paused = self.paused.iter().map(|(until, _)| *until);
        let trial = self.trial.as_ref().and_then(|(_, next)| *next);
        self.settler.due().into_iter().chain(paused).chain(trial).min()
    }
}
