//! The state of the bell's model: publishers, and what PostgreSQL shows and holds.

use tpro_dispatcher::core::bell::{Act, Found};

use super::{Action, Dispatcher, Rows, Statement, Variant};

/// Where a publisher's transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Publisher {
    /// Running its statements.
    Open {
        /// Statements so far.
        statements: u8,
        /// Rows that will be visible if it commits.
        rows: u8,
        /// The trigger's flag is set; a rolled back savepoint leaves the flag, not the row.
        flag: bool,
    },
    /// The callback before the commit has run.
    Committing {
        /// Rows that are about to be visible.
        rows: u8,
        /// It holds the bell's lock in share mode.
        share: bool,
        /// It will notify.
        notify: bool,
    },
    /// Rows are visible; locks are still held, the notification not yet signalled.
    Visible {
        /// It still holds the bell's lock in share mode.
        share: bool,
        /// It will notify.
        notify: bool,
    },
    /// Prepared: the lock, if it was to be had, is kept.
    Prepared {
        /// Rows that will be visible.
        rows: u8,
        /// It holds the bell's lock in share mode.
        share: bool,
    },
    /// Over.
    Done,
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
        let taken = self.dispatcher.has_bell;
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

    /// The dispatcher's statement ends, and PostgreSQL answers.
    pub(super) fn end(&mut self, variant: Variant) -> Option<()> {
        let shared = self.bell_shared();
        let dispatcher = &mut self.dispatcher;
        match dispatcher.statement.take()? {
            Statement::Read { seen } => {
                // Rows that became visible after the snapshot stay.
                self.unread.ringing -= seen.ringing;
                self.unread.silent -= seen.silent;
                dispatcher.read(if seen.any() { Found::Some(1) } else { Found::Nothing });
            }
            Statement::Take { seen } => {
                dispatcher.taken(!shared);
                match variant {
                    _ if shared => {}
                    Variant::WithoutSecondRead => {
                        dispatcher.begin(Act::Read, Rows::default());
                        dispatcher.statement = None;
                        dispatcher.read(Found::Nothing);
                    }
                    // The read goes on in the same statement, with the snapshot that it has.
                    Variant::LockAndReadInOneStatement => dispatcher.begin(Act::Read, seen),
                    _ => {}
                }
            }
            Statement::LetGo => dispatcher.let_go(),
        }
        Some(())
    }
}
