//! The copies of a target that have spoken lately.

use std::{
    hash::BuildHasher as _,
    time::{Duration, Instant},
};

use rustc_hash::FxBuildHasher;

/// The most copies that are told apart, and how long one that does not speak is remembered.
const COPIES_MAX: usize = 64;
const SILENT: Duration = Duration::from_secs(10);

/// The copy of a target that has spoken: a digest of what it calls itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyId(u64);

impl CopyId {
    /// Of its name in a reply; strangers have none.
    pub fn of(responder: Option<&str>) -> Self {
        Self(responder.map_or(0, |name| FxBuildHasher.hash_one(name)))
    }
}

/// Copies that have answered or refused lately.
#[derive(Default)]
pub struct Copies(Vec<Heard>);

struct Heard {
    who: CopyId,
    at: Instant,
    /// So many of its answers do not widen the window.
    hold: usize,
}

impl Copies {
    /// The number of copies.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The copy has refused: so many of its answers do not widen the window.
    pub fn hold(&mut self, who: CopyId, answers: usize, now: Instant) {
        if let Some(heard) = self.hear(who, now) {
            heard.hold = answers;
        }
    }

    /// The copy has answered. Returns whether the answer is one that does not widen the window.
    pub fn answered(&mut self, who: CopyId, now: Instant) -> bool {
        self.hear(who, now).is_some_and(|heard| {
            let held = heard.hold > 0;
            heard.hold = heard.hold.saturating_sub(1);
            held
        })
    }

    /// Notes that this copy has spoken. None when too many have.
    fn hear(&mut self, who: CopyId, now: Instant) -> Option<&mut Heard> {
        let at = match self.0.iter().position(|heard| heard.who == who) {
            Some(at) => at,
            None => {
                self.0.retain(|heard| now < heard.at + SILENT);
                if self.0.len() >= COPIES_MAX {
                    return None;
                }
                self.0.push(Heard { who, at: now, hold: 0 });
                self.0.len() - 1
            }
        };
        self.0[at].at = now;
        Some(&mut self.0[at])
    }
}
