//! What there is in the bell's model.

use super::{Action, Variant};

/// Where a publisher's transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Publisher {
    /// Running its statements.
    Open {
        /// Statements so far.
        statements: u8,
        /// Rows that will be visible if it commits.
        rows: u8,
        /// Whether the trigger's flag is set; a rolled back savepoint leaves the flag, not the row.
        flag: bool,
    },
    /// The callback before the commit has run.
    Committing {
        /// Rows that are about to be visible.
        rows: u8,
        /// Whether it holds the bell's lock in share mode.
        share: bool,
        /// Whether it will notify.
        notify: bool,
    },
    /// Rows are visible; locks are still held, the notification not yet signalled.
    Visible {
        /// Whether it still holds the bell's lock in share mode.
        share: bool,
        /// Whether it will notify.
        notify: bool,
    },
    /// Prepared: the lock, if it was to be had, is kept.
    Prepared {
        /// Rows that will be visible.
        rows: u8,
        /// Whether it holds the bell's lock in share mode.
        share: bool,
    },
    /// Over.
    Done,
}

/// Rows that are visible and were not read, or what a snapshot shows of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rows {
    /// Of transactions that ring if need be.
    pub(super) ringing: u8,
    /// Prepared while the dispatcher slept: PostgreSQL refuses a NOTIFY there, so the slow poll reads them.
    pub(super) silent: u8,
}

impl Rows {
    pub(super) fn any(self) -> bool {
        self != Self::default()
    }
}

/// Where the dispatcher is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dispatcher {
    /// Reads from time to time.
    Awake,
    /// A read has its snapshot, and not yet its end.
    Reading {
        /// What the snapshot shows.
        seen: Rows,
    },
    /// A read found nothing; the bell is to be taken.
    Parking,
    /// The statement that takes the bell has its snapshot, and not yet the bell.
    Taking {
        /// What the snapshot shows. Only [`Variant::LockAndReadInOneStatement`] looks at it.
        seen: Rows,
    },
    /// Has the bell; to read once more.
    Armed {
        /// Whether it was rung meanwhile.
        rung: bool,
    },
    /// Has the bell; a read has its snapshot, and not yet its end: the second read, or one of the slow poll.
    ReadingAgain {
        /// What the snapshot shows.
        seen: Rows,
        /// Whether it was rung meanwhile.
        rung: bool,
    },
    /// Has the bell; waits for a notification.
    Asleep,
    /// Still has the bell; to let it go.
    Woken,
}

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// In order: which is which does not matter.
    pub(super) publishers: Vec<Publisher>,
    pub(super) dispatcher: Dispatcher,
    pub(super) unread: Rows,
    /// A notification has been signalled, and is not yet with the dispatcher.
    pub(super) signalled: bool,
    /// Own inserts left.
    pub(super) own_inserts: u8,
}

impl Dispatcher {
    pub(super) fn has_bell(self) -> bool {
        matches!(self, Self::Armed { .. } | Self::ReadingAgain { .. } | Self::Asleep | Self::Woken)
    }
}

impl Publisher {
    pub(super) fn shares_bell(&self) -> bool {
        matches!(
            self,
            Self::Committing { share: true, .. }
                | Self::Visible { share: true, .. }
                | Self::Prepared { share: true, .. }
        )
    }
}

impl State {
    pub(super) fn bell_shared(&self) -> bool {
        self.publishers.iter().any(Publisher::shares_bell)
    }

    pub(super) fn about_to_ring(&self) -> bool {
        self.signalled
            || self
                .publishers
                .iter()
                .any(|publisher| matches!(publisher, Publisher::Visible { notify: true, .. }))
    }

    pub(super) fn publish(&mut self, who: usize, action: Action) -> Option<()> {
        let taken = self.dispatcher.has_bell();
        self.publishers[who] = match (action, self.publishers[who]) {
            (Action::Insert(_), Publisher::Open { statements, rows, .. }) => {
                Publisher::Open { statements: statements + 1, rows: rows + 1, flag: true }
            }
            (Action::InsertUndone(_), Publisher::Open { statements, rows, .. }) => {
                Publisher::Open { statements: statements + 1, rows, flag: true }
            }
            (Action::PreCommit(_), Publisher::Open { rows, flag, .. }) => {
                let share = flag && !taken;
                Publisher::Committing { rows, share, notify: flag && !share }
            }
            (Action::BecomeVisible(_), Publisher::Committing { rows, share, notify }) => {
                self.unread.ringing += rows;
                Publisher::Visible { share, notify }
            }
            (Action::Release(_), Publisher::Visible { notify, .. }) => {
                self.signalled |= notify;
                Publisher::Done
            }
            (Action::Abort(_), _) => Publisher::Done,
            (Action::Prepare(_), Publisher::Open { rows, .. }) => Publisher::Prepared { rows, share: !taken },
            (Action::CommitPrepared(_), Publisher::Prepared { rows, share }) => {
                *(if share { &mut self.unread.ringing } else { &mut self.unread.silent }) += rows;
                Publisher::Visible { share, notify: false }
            }
            _ => return None,
        };
        self.publishers.sort_unstable();
        Some(())
    }

    pub(super) fn take_bell(&mut self, seen: Rows, variant: Variant) {
        self.dispatcher = match variant {
            _ if self.bell_shared() => Dispatcher::Awake,
            Variant::WithoutSecondRead => Dispatcher::Asleep,
            // The read goes on in the same statement, with the snapshot that it has.
            Variant::LockAndReadInOneStatement => Dispatcher::ReadingAgain { seen, rung: false },
            _ => Dispatcher::Armed { rung: false },
        };
    }
}
