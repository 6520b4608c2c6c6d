//! The bell: no committed row is left while the dispatcher sleeps and nobody is about to wake it.
//!
//! Publishers follow PostgreSQL's order of commit: the callback before the commit (lock or NOTIFY), the commit made
//! visible, and only then locks released and the notification signalled.

use stateright::{Model, Property};

/// Statements of one transaction at most.
const STATEMENTS: u8 = 3;

/// Which protocol is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// As built.
    AsBuilt,
    /// The dispatcher sleeps as soon as it has the bell.
    WithoutSecondRead,
    /// The second read shares its statement, and so its snapshot, with the taking of the bell.
    LockAndReadInOneStatement,
    /// The dispatcher inserts into its own outbox without letting the bell go.
    InsertsWhileAsleep,
}

/// The model: so many publishers, one transaction each, and one dispatcher.
#[derive(Clone, Debug)]
pub struct Bell {
    /// Transactions that run at once.
    pub publishers: usize,
    /// What is checked.
    pub variant: Variant,
}

/// Where a publisher's transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// Where the dispatcher is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dispatcher {
    /// Reads from time to time.
    Awake,
    /// A read found nothing; the bell is to be taken.
    Parking,
    /// Has the bell; to read once more.
    Armed {
        /// What a snapshot taken before the bell would see.
        seen: u8,
    },
    /// Waits for a notification.
    Asleep,
}

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    publishers: Vec<Publisher>,
    dispatcher: Dispatcher,
    /// Visible rows that were not read.
    unread: u8,
    /// Rows prepared while the dispatcher slept: PostgreSQL refuses a NOTIFY there, so the slow poll reads them.
    unrung: u8,
    /// A notification has been signalled to the dispatcher.
    rung: bool,
    /// Own inserts left.
    own_inserts: u8,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A statement that inserts.
    Insert(usize),
    /// A statement that inserts behind a savepoint and rolls it back.
    InsertUndone(usize),
    /// The callback before a commit.
    PreCommit(usize),
    /// The commit becomes visible.
    BecomeVisible(usize),
    /// Locks are released, notifications signalled.
    Release(usize),
    /// ROLLBACK, also of a prepared transaction.
    Abort(usize),
    /// PREPARE TRANSACTION.
    Prepare(usize),
    /// COMMIT PREPARED.
    CommitPrepared(usize),
    /// The dispatcher reads.
    Read,
    /// The dispatcher tries the bell.
    TakeBell,
    /// The second read.
    ReadAgain,
    /// A notification wakes it; it lets the bell go.
    Wake,
    /// The slow poll, for what cannot ring.
    SlowPoll,
    /// The dispatcher inserts into its own outbox.
    OwnInsert,
}

impl State {
    fn bell_taken(&self) -> bool {
        matches!(self.dispatcher, Dispatcher::Armed { .. } | Dispatcher::Asleep)
    }

    fn bell_shared(&self) -> bool {
        self.publishers.iter().any(|publisher| {
            matches!(
                publisher,
                Publisher::Committing { share: true, .. }
                    | Publisher::Visible { share: true, .. }
                    | Publisher::Prepared { share: true, .. }
            )
        })
    }

    fn about_to_ring(&self) -> bool {
        self.publishers.iter().any(|publisher| matches!(publisher, Publisher::Visible { notify: true, .. }))
    }
}

impl Model for Bell {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            publishers: vec![Publisher::Open { statements: 0, rows: 0, flag: false }; self.publishers],
            dispatcher: Dispatcher::Awake,
            unread: 0,
            unrung: 0,
            rung: false,
            own_inserts: 1,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (who, publisher) in state.publishers.iter().enumerate() {
            match *publisher {
                Publisher::Open { statements, .. } => {
                    if statements < STATEMENTS {
                        actions.extend([Action::Insert(who), Action::InsertUndone(who)]);
                    }
                    if statements > 0 {
                        actions.extend([Action::PreCommit(who), Action::Abort(who), Action::Prepare(who)]);
                    }
                }
                Publisher::Committing { .. } => actions.push(Action::BecomeVisible(who)),
                Publisher::Visible { .. } => actions.push(Action::Release(who)),
                Publisher::Prepared { .. } => {
                    actions.extend([Action::CommitPrepared(who), Action::Abort(who)]);
                }
                Publisher::Done => {}
            }
        }
        match state.dispatcher {
            Dispatcher::Awake => {
                actions.push(Action::Read);
                if state.own_inserts > 0 {
                    actions.push(Action::OwnInsert);
                }
            }
            Dispatcher::Parking => actions.push(Action::TakeBell),
            Dispatcher::Armed { .. } => actions.push(Action::ReadAgain),
            Dispatcher::Asleep => {
                if state.rung {
                    actions.push(Action::Wake);
                }
                if state.unrung > 0 {
                    actions.push(Action::SlowPoll);
                }
                if state.own_inserts > 0 {
                    actions.push(Action::OwnInsert);
                }
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Insert(who) | Action::InsertUndone(who) => {
                let Publisher::Open { statements, rows, .. } = state.publishers[who] else { return None };
                let kept = u8::from(matches!(action, Action::Insert(_)));
                state.publishers[who] =
                    Publisher::Open { statements: statements + 1, rows: rows + kept, flag: true };
            }
            Action::PreCommit(who) => {
                let Publisher::Open { rows, flag, .. } = state.publishers[who] else { return None };
                let share = flag && !state.bell_taken();
                state.publishers[who] = Publisher::Committing { rows, share, notify: flag && !share };
            }
            Action::BecomeVisible(who) => {
                let Publisher::Committing { rows, share, notify } = state.publishers[who] else {
                    return None;
                };
                state.unread += rows;
                state.publishers[who] = Publisher::Visible { share, notify };
            }
            Action::Release(who) => {
                let Publisher::Visible { notify, .. } = state.publishers[who] else { return None };
                state.rung |= notify;
                state.publishers[who] = Publisher::Done;
            }
            Action::Abort(who) => state.publishers[who] = Publisher::Done,
            Action::Prepare(who) => {
                let Publisher::Open { rows, .. } = state.publishers[who] else { return None };
                let share = !state.bell_taken();
                state.publishers[who] = Publisher::Prepared { rows, share };
            }
            Action::CommitPrepared(who) => {
                let Publisher::Prepared { rows, share } = state.publishers[who] else { return None };
                state.unread += rows;
                if !share {
                    state.unrung += rows;
                }
                state.publishers[who] = Publisher::Visible { share, notify: false };
            }
            Action::Read => {
                if state.unread > 0 {
                    (state.unread, state.unrung) = (0, 0);
                } else {
                    state.dispatcher = Dispatcher::Parking;
                }
            }
            Action::TakeBell => {
                state.dispatcher = if state.bell_shared() {
                    Dispatcher::Awake
                } else if self.variant == Variant::WithoutSecondRead {
                    Dispatcher::Asleep
                } else {
                    Dispatcher::Armed { seen: 0 }
                };
            }
            Action::ReadAgain => {
                let Dispatcher::Armed { seen } = state.dispatcher else { return None };
                // One statement has one snapshot, taken before the lock: what became visible since is not seen.
                let visible =
                    if self.variant == Variant::LockAndReadInOneStatement { seen } else { state.unread };
                if visible > 0 {
                    (state.unread, state.unrung) = (0, 0);
                    state.dispatcher = Dispatcher::Awake;
                } else {
                    state.dispatcher = Dispatcher::Asleep;
                }
            }
            Action::Wake => {
                state.rung = false;
                state.dispatcher = Dispatcher::Awake;
            }
            Action::SlowPoll => {
                (state.unread, state.unrung) = (0, 0);
                state.dispatcher = Dispatcher::Awake;
            }
            Action::OwnInsert => {
                // Its own share lock does not conflict with its own exclusive one, so nobody would ring.
                state.own_inserts -= 1;
                state.unread += 1;
                if self.variant != Variant::InsertsWhileAsleep {
                    state.dispatcher = Dispatcher::Awake;
                }
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("a sleeper with work is about to be woken", |_, state: &State| {
                state.dispatcher != Dispatcher::Asleep
                    || state.unread <= state.unrung
                    || state.rung
                    || state.about_to_ring()
            }),
            Property::sometimes(
                "the dispatcher sleeps after everything was delivered",
                |_, state: &State| {
                    state.dispatcher == Dispatcher::Asleep
                        && state.unread == 0
                        && state.publishers.iter().all(|publisher| *publisher == Publisher::Done)
                },
            ),
        ]
    }
}
