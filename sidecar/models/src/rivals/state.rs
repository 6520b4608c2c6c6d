//! The state of the rivals' model.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use tpro_dispatcher::election::{
    identity::Server,
    refusal::{Refusals, Rivalry},
    standing::Standing,
};

use super::Rivals;

/// The moment at which the model begins.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);
/// Longer than it takes for a refusal to stay. All that happens between two of these happens at one
/// moment.
const WHILE: Duration = Duration::from_secs(30);

/// The place of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Its server is down.
    Down,
    /// It takes part in nothing yet.
    Gate,
    /// It is behind the gate, and tries to lead.
    Follows,
    /// It leads.
    Leads(Standing),
}

/// A copy, the only one at its server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Copy {
    pub(super) timeline: u32,
    /// When the server was started: a number in the order of starts.
    pub(super) started: i64,
    pub(super) frozen: bool,
    pub(super) phase: Phase,
    pub(super) refusals: Refusals,
    pub(super) rivalry: Rivalry,
    /// When its last try to lead began: whiles that had passed.
    pub(super) begun: u8,
    /// Whiles that had passed when the gate refused it first.
    pub(super) refused_in: Option<u8>,
}

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) copies: [Copy; 2],
    /// Whiles that have passed, and that may.
    pub(super) passed: u8,
    pub(super) whiles: u8,
    pub(super) faults: u8,
    pub(super) restarts: u8,
    pub(super) replays: u8,
    pub(super) gave_way_to_nobody: bool,
    pub(super) went_back: bool,
}

/// The time of the model.
pub(super) fn now(state: &State) -> Instant {
    at(state.passed)
}

fn at(passed: u8) -> Instant {
    *START + WHILE * u32::from(passed)
}

/// The server of a copy, as it is told to others.
pub(super) fn server(state: &State, who: usize) -> Server {
    let Copy { timeline, started, .. } = state.copies[who];
    Server { timeline, started, asker: who as u64 }
}

impl State {
    pub(super) fn begin(model: &Rivals) -> Self {
        let copy = |timeline, started| Copy {
            timeline,
            started,
            frozen: false,
            phase: Phase::Gate,
            refusals: Refusals::default(),
            rivalry: Rivalry::default(),
            begun: 0,
            refused_in: None,
        };
        Self {
            copies: [copy(1, 1), copy(if model.promoted { 2 } else { 1 }, 2)],
            passed: 0,
            whiles: model.whiles,
            faults: model.faults,
            restarts: model.restarts,
            replays: 1,
            gave_way_to_nobody: false,
            went_back: false,
        }
    }

    pub(super) fn leads(&self, who: usize) -> bool {
        matches!(self.copies[who].phase, Phase::Leads(_))
    }

    pub(super) fn leaders(&self) -> usize {
        (0..2).filter(|who| self.leads(*who)).count()
    }

    /// The gate opens.
    pub(super) fn passes(&mut self, who: usize) {
        let passed = self.passed;
        let copy = &mut self.copies[who];
        copy.phase = Phase::Follows;
        (copy.refusals, copy.rivalry) = (Refusals::default(), Rivalry::default());
        // It was refused for less than a while.
        copy.refused_in.take_if(|refused| *refused == passed);
    }

    /// The gate stays closed.
    pub(super) fn is_refused(&mut self, who: usize, server: Server) {
        let (now, passed) = (now(self), self.passed);
        let copy = &mut self.copies[who];
        copy.refusals.refuse(server, String::new(), now);
        copy.refused_in.get_or_insert(passed);
    }

    /// A try to lead ends.
    pub(super) fn fall(&mut self, who: usize, by_rival: bool) {
        let now = now(self);
        let copy = &mut self.copies[who];
        copy.phase = Phase::Follows;
        if copy.rivalry.ended(by_rival, at(copy.begun), now) {
            // The process starts again.
            (copy.refusals, copy.rivalry) = (Refusals::default(), Rivalry::default());
            copy.phase = Phase::Gate;
            self.went_back = true;
        }
    }
}
