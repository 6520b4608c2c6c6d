//! The bell: no committed row is left while the dispatcher sleeps and nobody is about to wake it.
//!
//! Publishers follow PostgreSQL's order of commit: the callback before the commit (lock or NOTIFY), the commit made
//! visible, and only then locks released and the notification signalled. The dispatcher's statements have PostgreSQL's
//! order too: the snapshot first, and only then whatever the statement does, a lock that it takes included.

mod state;

use stateright::{Model, Property};

pub use self::state::{Dispatcher, Publisher, Rows, State};
use crate::reach::can_reach;

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
    InsertsHoldingTheBell,
}

/// The model: so many publishers, one transaction each, and one dispatcher.
#[derive(Clone, Debug)]
pub struct Bell {
    /// Transactions that run at once.
    pub publishers: usize,
    /// What is checked.
    pub variant: Variant,
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
    /// ROLLBACK, also of a prepared transaction, also by a failure after the callback.
    Abort(usize),
    /// PREPARE TRANSACTION.
    Prepare(usize),
    /// COMMIT PREPARED.
    CommitPrepared(usize),
    /// A read begins: its snapshot is taken. With the bell it is the second read, or one of the slow poll.
    BeginRead,
    /// A read ends.
    EndRead,
    /// The statement that takes the bell begins: its snapshot is taken.
    BeginTaking,
    /// The statement tries the bell.
    TakeBell,
    /// A notification reaches the dispatcher.
    Hear,
    /// The dispatcher has something to insert, and is woken for it.
    WakeToInsert,
    /// The dispatcher lets the bell go.
    LetGo,
    /// The dispatcher inserts into its own outbox.
    OwnInsert,
}

impl Bell {
    /// Whether the visible rows are read though no publisher does anything more, other than end its commit.
    fn can_read(&self, state: &State) -> bool {
        let honest = |state: &State, action: &Action| match action {
            Action::Release(_)
            | Action::EndRead
            | Action::BeginTaking
            | Action::TakeBell
            | Action::Hear
            | Action::LetGo => true,
            // Not the slow poll: it is for what cannot ring.
            Action::BeginRead => state.dispatcher != Dispatcher::Asleep,
            _ => false,
        };
        can_reach(self, state.clone(), honest, |state| state.unread.ringing == 0)
    }
}

impl Model for Bell {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            publishers: vec![Publisher::Open { statements: 0, rows: 0, flag: false }; self.publishers],
            dispatcher: Dispatcher::Awake,
            unread: Rows::default(),
            signalled: false,
            own_inserts: 1,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (who, publisher) in state.publishers.iter().enumerate() {
            if who > 0 && state.publishers[who - 1] == *publisher {
                // It would do what its twin does.
                continue;
            }
            match *publisher {
                Publisher::Open { statements, .. } => {
                    if statements < STATEMENTS {
                        actions.extend([Action::Insert(who), Action::InsertUndone(who)]);
                    }
                    if statements > 0 {
                        actions.extend([Action::PreCommit(who), Action::Abort(who), Action::Prepare(who)]);
                    }
                }
                Publisher::Committing { .. } => {
                    actions.extend([Action::BecomeVisible(who), Action::Abort(who)]);
                }
                Publisher::Visible { .. } => actions.push(Action::Release(who)),
                Publisher::Prepared { .. } => {
                    actions.extend([Action::CommitPrepared(who), Action::Abort(who)]);
                }
                Publisher::Done => {}
            }
        }
        if state.signalled {
            actions.push(Action::Hear);
        }
        let inserts = state.own_inserts > 0;
        match state.dispatcher {
            Dispatcher::Awake => {
                actions.push(Action::BeginRead);
                if inserts {
                    actions.push(Action::OwnInsert);
                }
            }
            Dispatcher::Reading { .. } | Dispatcher::ReadingAgain { .. } => actions.push(Action::EndRead),
            Dispatcher::Parking => actions.push(Action::BeginTaking),
            Dispatcher::Taking { .. } => actions.push(Action::TakeBell),
            Dispatcher::Armed { rung: false } => actions.push(Action::BeginRead),
            Dispatcher::Armed { rung: true } | Dispatcher::Woken => actions.push(Action::LetGo),
            Dispatcher::Asleep => {
                // The slow poll stands behind for what cannot ring, and only for that.
                if state.unread.silent > 0 {
                    actions.push(Action::BeginRead);
                }
                if inserts && self.variant != Variant::InsertsHoldingTheBell {
                    actions.push(Action::WakeToInsert);
                }
                if inserts && self.variant == Variant::InsertsHoldingTheBell {
                    actions.push(Action::OwnInsert);
                }
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Insert(who)
            | Action::InsertUndone(who)
            | Action::PreCommit(who)
            | Action::BecomeVisible(who)
            | Action::Release(who)
            | Action::Abort(who)
            | Action::Prepare(who)
            | Action::CommitPrepared(who) => state.publish(who, action)?,
            Action::BeginRead => {
                let seen = state.unread;
                state.dispatcher = match state.dispatcher {
                    Dispatcher::Awake => Dispatcher::Reading { seen },
                    _ => Dispatcher::ReadingAgain { seen, rung: false },
                };
            }
            Action::EndRead => {
                let (seen, next) = match state.dispatcher {
                    Dispatcher::Reading { seen } => {
                        (seen, if seen.any() { Dispatcher::Awake } else { Dispatcher::Parking })
                    }
                    Dispatcher::ReadingAgain { seen, rung } => {
                        (seen, if seen.any() || rung { Dispatcher::Woken } else { Dispatcher::Asleep })
                    }
                    _ => return None,
                };
                // What became visible after the snapshot stays.
                state.unread.ringing -= seen.ringing;
                state.unread.silent -= seen.silent;
                state.dispatcher = next;
            }
            Action::BeginTaking => {
                let shows = self.variant == Variant::LockAndReadInOneStatement;
                state.dispatcher =
                    Dispatcher::Taking { seen: if shows { state.unread } else { Rows::default() } };
            }
            Action::TakeBell => {
                let Dispatcher::Taking { seen } = state.dispatcher else { return None };
                state.take_bell(seen, self.variant);
            }
            Action::Hear => {
                state.signalled = false;
                state.dispatcher = match state.dispatcher {
                    Dispatcher::Asleep => Dispatcher::Woken,
                    Dispatcher::Armed { .. } => Dispatcher::Armed { rung: true },
                    Dispatcher::ReadingAgain { seen, .. } => Dispatcher::ReadingAgain { seen, rung: true },
                    // A ring for a sleep that is over: it must not be needed for the next one.
                    other => other,
                };
            }
            Action::WakeToInsert => state.dispatcher = Dispatcher::Woken,
            Action::LetGo => state.dispatcher = Dispatcher::Awake,
            Action::OwnInsert => {
                // Its own share lock does not conflict with its own exclusive one, so nobody rings, asleep or not.
                state.own_inserts -= 1;
                state.unread.ringing += 1;
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("a sleeper with work is about to be woken", |_, state: &State| {
                // Whoever polls, and has seen nothing, is about to sleep on.
                let sleeps = match state.dispatcher {
                    Dispatcher::Asleep => true,
                    Dispatcher::ReadingAgain { seen, rung } => !seen.any() && !rung,
                    _ => false,
                };
                !sleeps || state.unread.ringing == 0 || state.about_to_ring()
            }),
            Property::always("what is visible is read", |model: &Bell, state: &State| model.can_read(state)),
            Property::sometimes("the dispatcher is woken by a publisher", |_, state: &State| {
                state.dispatcher == Dispatcher::Woken && state.unread.ringing > 0 && state.own_inserts == 1
            }),
            Property::sometimes("a prepared transaction keeps the dispatcher awake", |_, state: &State| {
                matches!(state.dispatcher, Dispatcher::Taking { .. })
                    && state
                        .publishers
                        .iter()
                        .any(|who| matches!(who, Publisher::Prepared { share: true, .. }))
            }),
            Property::sometimes(
                "the dispatcher sleeps after everything was delivered",
                |_, state: &State| {
                    state.dispatcher == Dispatcher::Asleep
                        && !state.unread.any()
                        && state.own_inserts == 0
                        && state.publishers.iter().all(|publisher| *publisher == Publisher::Done)
                },
            ),
        ]
    }
}
