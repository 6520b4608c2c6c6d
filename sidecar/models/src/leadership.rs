//! Leadership and settling: one reply per committed row, its own, and nothing that only a leader
//! may say by a deposed one.
//!
//! Two copies, one row at a time. The lock lives and dies with the session; a copy that lost its
//! session may not know yet. A failover may take back the committed row and hand out its id again
//! under another uid.
//!
//! A reply is written in the leader's session, or by a reply handler's transaction on a connection
//! of the pool, which outlives the session and goes on as the product's own [`Settling`] says. What
//! the target said, any copy may write there, for the row that has this id *and* this uid. That a
//! row timed out, only its leader may say: this transaction inserts first, then asks whether its
//! leader still has the lock, then commits. Who inserts the same row meanwhile waits, so what
//! the next leader does comes after.

mod rules;
mod state;

use stateright::{Model, Property};
use tpro_service::handler::settling::Settling;

pub use self::state::{Copy, Outcome, Process, Reply, State, Task, Term, Uid};
use self::state::{FORGED, NEW};

/// The protocol that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// As built.
    AsBuilt,
    /// A reply settles the row that has its id now.
    IdentityById,
    /// The table of replies has no primary key, so that neither a conflict nor a wait comes of a
    /// second reply.
    WithoutPrimaryKey,
    /// A reply handler's transaction does not look whether the row with its id has its uid.
    PoolWithoutUid,
    /// A timeout on a pool connection: whether the leader still leads is asked before the insert.
    CheckThenInsert,
    /// A timeout on a pool connection: what is asked is whether the copy leads, be it in another
    /// session.
    ChecksTheCopy,
    /// A timeout on a pool connection: nobody asks whether the leader still leads.
    WritesOutsideItsSession,
    /// A deposed leader gives up by settling as timed out.
    DeposedSettlesTimeout,
    /// A request is sent once.
    SendsOnce,
    /// The server does not end a transaction that a frozen copy left open.
    WithoutIdleTimeout,
}

/// The model: how much may go wrong.
#[derive(Clone, Debug)]
pub struct Leadership {
    /// Crashes and freezes together.
    pub faults: u8,
    /// Requests or replies that are lost.
    pub losses: u8,
    /// The protocol.
    pub variant: Variant,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A follower gets the lock.
    Lead(usize),
    /// The leader reads the unsettled row and sends it.
    Send(usize),
    /// No reply to an attempt: the leader sends again.
    SendAgain(usize),
    /// The target does what it was asked, or finds that it did so before, and answers.
    TargetAnswers(usize),
    /// A request does not reach the target.
    LoseRequest(usize),
    /// The target has answered, and its reply does not arrive.
    LoseReply(usize),
    /// A reply arrives at the leader.
    Arrive(usize, usize),
    /// The budget is spent.
    GiveUp(usize),
    /// The leader writes in its session.
    Settle(usize),
    /// Pool: the reply is inserted, not committed.
    Insert(usize),
    /// Pool: looks whether its leader has the lock; rolls back if not.
    Check(usize),
    /// Pool: commits.
    Commit(usize),
    /// A copy learns that its session is gone.
    Notice(usize),
    /// The server ends the transaction of a copy that says nothing.
    EndIdle(usize),
    /// SIGKILL.
    Crash(usize),
    /// A new process in place of a dead one.
    Restart(usize),
    /// SIGSTOP.
    Freeze(usize),
    /// SIGCONT.
    Thaw(usize),
    /// A follower terminates the frozen leader's session.
    Depose(usize),
    /// The database fails over, to where there is no reply.
    Failover {
        /// The row is lost as well, and a publisher gets its id for a new one.
        row_lost: bool,
    },
    /// A stranger sends a reply.
    Forge,
}

impl Model for Leadership {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            copies: [NEW; 2],
            lock: None,
            leaders: 0,
            row: 1,
            replies: Vec::new(),
            requests: Vec::new(),
            on_the_way: Vec::new(),
            reply_lost: false,
            faults: self.faults,
            losses: self.losses,
            failovers: 1,
            forgeries: 1,
            sends: 3,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend((0..state.requests.len()).map(Action::TargetAnswers));
        if state.replies.is_empty() {
            // Of no consequence to a row that is settled.
            if state.losses > 0 {
                actions.extend((0..state.requests.len()).map(Action::LoseRequest));
                actions.extend((0..state.on_the_way.len()).map(Action::LoseReply));
            }
            if state.forgeries > 0 {
                actions.push(Action::Forge);
            }
        }
        for (who, copy) in state.copies.iter().enumerate() {
            match copy.process {
                Process::Runs => self.copy_actions(state, who, actions),
                Process::Frozen => {
                    actions.push(Action::Thaw(who));
                    let watched = state.copies[1 - who].process == Process::Runs;
                    if watched && state.lock.is_some_and(|(holder, _)| holder == who) {
                        actions.push(Action::Depose(who));
                    }
                    let open = copy.task.is_some_and(|task| !task.is_held());
                    if open && self.variant != Variant::WithoutIdleTimeout {
                        actions.push(Action::EndIdle(who));
                    }
                }
                Process::Dead => actions.push(Action::Restart(who)),
            }
            if state.faults > 0 && copy.process != Process::Dead && *copy != NEW {
                actions.push(Action::Crash(who));
                if copy.process == Process::Runs {
                    actions.push(Action::Freeze(who));
                }
            }
        }
        if state.failovers > 0 {
            actions.extend([true, false].map(|row_lost| Action::Failover { row_lost }));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Lead(who) => {
                let term = state.new_term();
                state.leaders = (state.leaders + 1).min(2);
                state.lock = Some((who, term));
                state.copies[who].leads = Some(term);
            }
            Action::Send(who) | Action::SendAgain(who) => {
                state.sends -= 1;
                let sent = *state.copies[who].in_flight.get_or_insert(state.row);
                state.requests.push(sent);
                state.requests.sort_unstable();
            }
            Action::TargetAnswers(at) => {
                let answered = state.requests.remove(at);
                state.on_the_way.push(answered);
                state.on_the_way.sort_unstable();
            }
            Action::LoseRequest(at) => {
                state.losses -= 1;
                state.requests.remove(at);
            }
            Action::LoseReply(at) => {
                state.losses -= 1;
                state.reply_lost |= state.on_the_way.remove(at) == state.row;
            }
            Action::Arrive(who, at) => {
                let (term, in_flight) = (state.copies[who].leads?, state.copies[who].in_flight?);
                let uid = state.on_the_way.remove(at);
                if self.may_settle(uid, in_flight) {
                    state.copies[who].in_flight = None;
                    state.copies[who].task = Some(Task::new(uid, Outcome::Said, term, self.variant));
                }
            }
            Action::GiveUp(who) => {
                let (term, uid) = (state.copies[who].leads?, state.copies[who].in_flight.take()?);
                state.copies[who].task = Some(Task::new(uid, Outcome::Timeout, term, self.variant));
            }
            Action::Settle(who) => {
                let Task { uid, outcome, .. } = state.copies[who].task.take()?;
                if !state.conflicts(self.variant) {
                    state.replies.push(Reply { uid, outcome, led: true });
                }
            }
            Action::Insert(who) => self.insert(&mut state, who)?,
            Action::Check(who) => self.check(&mut state, who)?,
            Action::Commit(who) => {
                let Task { uid, outcome, led, .. } = state.copies[who].task.take()?;
                state.replies.push(Reply { uid, outcome, led });
            }
            Action::Notice(who) => {
                let term = state.copies[who].leads.take()?;
                let given_up = state.copies[who].in_flight.take();
                if let (Variant::DeposedSettlesTimeout, Some(uid), None) =
                    (self.variant, given_up, state.copies[who].task)
                {
                    state.copies[who].task = Some(Task::new(uid, Outcome::Timeout, term, self.variant));
                }
            }
            Action::EndIdle(who) => state.roll_back(who, self.variant),
            Action::Crash(who) => {
                state.faults -= 1;
                state.copies[who] = Copy { process: Process::Dead, ..NEW };
                state.lock = state.lock.filter(|(holder, _)| *holder != who);
            }
            Action::Restart(who) => state.copies[who] = NEW,
            Action::Freeze(who) => {
                state.faults -= 1;
                state.copies[who].process = Process::Frozen;
            }
            Action::Thaw(who) => state.copies[who].process = Process::Runs,
            Action::Depose(_) => state.lock = None,
            Action::Failover { row_lost } => {
                // All sessions die with the server, those of the pool included; a copy finds out
                // when it speaks to it.
                state.failovers -= 1;
                state.lock = None;
                state.row += u8::from(row_lost);
                state.replies.clear();
                (0..state.copies.len()).for_each(|who| state.roll_back(who, self.variant));
            }
            Action::Forge => {
                state.forgeries -= 1;
                state.on_the_way.push(FORGED);
            }
        }
        Some(state.in_order())
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("a row has one reply", |_, state: &State| state.replies.len() <= 1),
            Property::always("a reply answers its own row", |_, state: &State| {
                state.replies.iter().all(|reply| reply.uid == state.row)
            }),
            Property::always("a deposed leader writes no timeout", |_, state: &State| {
                state.replies.iter().all(|reply| reply.outcome == Outcome::Said || reply.led)
            }),
            Property::always(
                "a row can be settled once nothing breaks any more",
                |model: &Leadership, state| model.can_settle(state),
            ),
            Property::sometimes("a row is settled after a takeover", |_, state: &State| {
                state.leaders > 1 && state.failovers == 1 && state.is_answered()
            }),
            Property::sometimes("a row is settled whose reply was lost", |_, state: &State| {
                state.reply_lost && state.is_answered()
            }),
            Property::sometimes(
                "a copy that does not lead writes what the target said",
                |_, state: &State| {
                    state.replies.iter().any(|reply| reply.outcome == Outcome::Said && !reply.led)
                },
            ),
            Property::sometimes("one leader's reply waits for the end of another's", |_, state: &State| {
                let held = |task: Task| task.is_held() && state.has_lock(0, task.term);
                state.copies[0].task.is_some_and(held) && state.waits(Variant::AsBuilt)
            }),
            Property::sometimes("a timeout is rolled back behind a new leader", |_, state: &State| {
                let late = |who: usize, task: Task| {
                    task.settling == Settling::AskLeader
                        && task.led
                        && state.lock.is_some_and(|(by, _)| by != who)
                };
                state
                    .copies
                    .iter()
                    .enumerate()
                    .any(|(who, copy)| copy.task.is_some_and(|task| late(who, task)))
            }),
        ]
    }
}
