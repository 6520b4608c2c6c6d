//! The bell: no committed row is left while the dispatcher sleeps and nobody is about to wake it.
//!
//! The dispatcher is the product's own [`Bell`](tpro_dispatcher::core::bell::Bell). The model
//! supplies PostgreSQL: publishers follow its order of commit, which is the callback before the
//! commit (lock or NOTIFY), the commit made visible, and only then locks released and the
//! notification signalled. The dispatcher's statements have its order too: the snapshot first, and
//! only then what the statement does, a lock that it takes included.

mod dispatcher;
mod rows;
mod state;

use stateright::{Model, Property};
use tpro_dispatcher::core::bell::Act;

pub use self::{
    dispatcher::{Dispatcher, Statement},
    rows::Rows,
    state::{Publisher, State},
};
use crate::reach::Reached;

static REACHED: Reached<Variant, State> = Reached::new();

/// Statements of one transaction at most.
const STATEMENTS: u8 = 2;

/// The protocol that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// As built.
    AsBuilt,
    /// The second read is answered without having been made.
    WithoutSecondRead,
    /// The second read shares its statement, and so its snapshot, with the taking of the bell.
    LockAndReadInOneStatement,
    /// A dispatcher that has the bell and inserts into its own outbox does not ring itself.
    InsertsWithoutRinging,
}

/// The model: so many publishers, one transaction each, and one dispatcher.
#[derive(Clone, Debug)]
pub struct Bell {
    /// Transactions that run at once.
    pub publishers: usize,
    /// The protocol.
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
    /// A statement of the dispatcher begins: its snapshot is taken.
    Begin(Act),
    /// The statement ends. One that takes the bell tries it now.
    End,
    /// A notification reaches the dispatcher.
    Hear,
    /// The dispatcher's session inserts into its own outbox, by a trigger on replies.
    OwnInsert,
}

impl Bell {
    /// The visible rows are read though no publisher does anything more, other than end its commit.
    fn can_read(&self, state: &State) -> bool {
        let honest = |state: &State, action: &Action| match action {
            Action::Release(_) | Action::End | Action::Hear => true,
            // Not the slow poll: it is for what cannot ring.
            Action::Begin(act) => *act != Act::Read || !state.dispatcher.is_asleep(),
            _ => false,
        };
        REACHED.can_reach(self, self.variant, state.clone(), honest, |state| state.unread.ringing == 0)
    }
}

impl Model for Bell {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            publishers: vec![Publisher::Open { statements: 0, rows: 0, flag: false }; self.publishers],
            dispatcher: Dispatcher::awake(),
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
        let dispatcher = &state.dispatcher;
        if dispatcher.statement.is_some() {
            actions.push(Action::End);
            return;
        }
        // The slow poll stands behind for what cannot ring, and only for that.
        let polls = !dispatcher.is_asleep() || state.unread.silent > 0;
        actions.extend(dispatcher.acts().filter(|act| *act != Act::Read || polls).map(Action::Begin));
        if state.own_inserts > 0 {
            actions.push(Action::OwnInsert);
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
            Action::Begin(act) => state.dispatcher.begin(act, state.unread),
            Action::End => state.end(self.variant)?,
            Action::Hear => {
                state.signalled = false;
                state.dispatcher.rung();
            }
            Action::OwnInsert => {
                // Its own share lock does not conflict with its own exclusive one: that it has the
                // bell, it looks up.
                state.own_inserts -= 1;
                state.unread.ringing += 1;
                let rings = self.variant != Variant::InsertsWithoutRinging;
                state.signalled |= state.dispatcher.has_bell && rings;
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("a sleeper with work is about to be woken", |_, state: &State| {
                !state.dispatcher.sleeps_on() || state.unread.ringing == 0 || state.about_to_ring()
            }),
            Property::always("what is visible is read", |model: &Bell, state: &State| model.can_read(state)),
            Property::sometimes("the dispatcher is woken by a publisher", |_, state: &State| {
                state.signalled && state.dispatcher.is_woken_by_a_ring() && state.own_inserts == 1
            }),
            Property::sometimes("the bell is let go when it rings too often", |_, state: &State| {
                state.dispatcher.acts().any(|act| act == Act::Wake)
            }),
            Property::sometimes("a prepared transaction keeps the dispatcher awake", |_, state: &State| {
                matches!(state.dispatcher.statement, Some(Statement::Take { .. }))
                    && state
                        .publishers
                        .iter()
                        .any(|who| matches!(who, Publisher::Prepared { share: true, .. }))
            }),
            Property::sometimes(
                "the dispatcher sleeps after everything was delivered",
                |_, state: &State| {
                    state.dispatcher.is_asleep()
                        && !state.unread.any()
                        && state.own_inserts == 0
                        && state.publishers.iter().all(|publisher| *publisher == Publisher::Done)
                },
            ),
        ]
    }
}
