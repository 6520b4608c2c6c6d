//! The dispatcher: the product's bell, and the statement that it has under way.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use tpro_dispatcher::core::bell::{Act, Bell, Found};

use super::Rows;

/// The moment at which everything happens. The bell is asked what it does at this moment and at
/// later ones, so that each timer may be due, or not yet, in every state.
static NOW: LazyLock<Instant> = LazyLock::new(Instant::now);
const PARK_AFTER: Duration = Duration::from_millis(50);
const SLOW_POLL: Duration = Duration::from_secs(5);
/// Two rings at one moment are borne, the third is not.
const GAP: Duration = Duration::from_millis(25);

/// A statement under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Statement {
    /// A read.
    Read {
        /// The rows that its snapshot shows.
        seen: Rows,
    },
    /// The taking of the bell.
    Take {
        /// The rows that its snapshot shows.
        seen: Rows,
    },
    /// The letting go of the bell.
    LetGo,
}

/// The dispatcher.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dispatcher {
    pub(super) bell: Bell,
    /// The bell is its own, for PostgreSQL.
    pub(super) has_bell: bool,
    pub(super) statement: Option<Statement>,
}

impl Dispatcher {
    pub(super) fn awake() -> Self {
        let mut bell = Bell::new(PARK_AFTER, Some(SLOW_POLL), *NOW);
        bell.allow(GAP);
        Self { bell, has_bell: false, statement: None }
    }

    /// The statements that it may begin next, at one moment or another.
    pub(super) fn acts(&self) -> impl Iterator<Item = Act> + use<> {
        let moments = [Some(*NOW), self.bell.next(), Some(*NOW + SLOW_POLL)];
        let mut acts: Vec<Act> = moments.into_iter().flatten().filter_map(|now| self.bell.act(now)).collect();
        acts.dedup();
        acts.into_iter()
    }

    pub(super) fn begin(&mut self, act: Act, visible: Rows) {
        self.bell.begins(act);
        self.statement = Some(match act {
            Act::Read => Statement::Read { seen: visible },
            Act::Sleep => Statement::Take { seen: visible },
            Act::Wake => Statement::LetGo,
        });
    }

    pub(super) fn rung(&mut self) {
        self.bell.rung(*NOW);
    }

    pub(super) fn read(&mut self, found: Found) {
        self.bell.read(found, *NOW);
    }

    pub(super) fn taken(&mut self, ours: bool) {
        self.has_bell = ours;
        self.bell.taken(ours, *NOW);
    }

    pub(super) fn let_go(&mut self) {
        self.has_bell = false;
        self.bell.let_go(*NOW);
    }

    /// It sleeps, and a ring has it read at once.
    pub(super) fn is_woken_by_a_ring(&self) -> bool {
        let mut woken = self.clone();
        woken.rung();
        self.is_asleep() && woken.bell.act(*NOW) == Some(Act::Read)
    }

    pub(super) fn is_asleep(&self) -> bool {
        self.bell.is_asleep()
    }

    /// It sleeps, or a read that has seen nothing is about to let it sleep.
    pub(super) fn sleeps_on(&self) -> bool {
        let mut after = self.clone();
        match self.statement {
            Some(Statement::Read { seen }) if seen.any() => return false,
            Some(Statement::Read { .. }) => after.read(Found::Nothing),
            Some(Statement::Take { .. } | Statement::LetGo) => return false,
            None => {}
        }
        after.is_asleep()
    }
}
