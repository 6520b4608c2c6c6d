//! Leadership and settling: one reply per committed row, its own, and nothing that only a leader may say by a deposed one.
//!
//! Two copies, one row at a time. The lock lives and dies with the session; a copy that lost its session may not know
//! yet. A failover may take back the committed row and hand out its id again under another uid.
//!
//! A reply is written in the leader's session, or by a reply handler's transaction on a connection of the pool, which
//! outlives the session. What the target said, any copy may write there, for the row that has this id *and* this uid.
//! That a row timed out, only its leader may say: such a transaction inserts first, then asks whether its leader still
//! has the lock, then commits. Whoever inserts the same row meanwhile waits, so what the next leader does comes after.

use stateright::{Model, Property};

use crate::reach::can_reach;

/// Which protocol is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// As built.
    AsBuilt,
    /// A reply settles whatever row has its id now.
    IdentityById,
    /// The table of replies has no primary key, so that neither a conflict nor a wait comes of a second reply.
    WithoutPrimaryKey,
    /// A reply handler's transaction does not look whether the row with its id has its uid.
    PoolWithoutUid,
    /// A timeout on a pool connection: whether the leader still leads is asked before the insert.
    CheckThenInsert,
    /// A timeout on a pool connection: what is asked is whether the copy leads, be it in another session.
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
    /// What is checked.
    pub variant: Variant,
}

/// The identity of a row: which of the rows that ever had this id.
pub type Uid = u8;

/// A uid that no row ever had.
const FORGED: Uid = 99;

/// Which session has the lock, or had. The number of one that nobody remembers is used again, to have fewer states.
pub type Term = u8;

/// An outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The target said it: `ok` or `error`.
    Said,
    /// The budget is spent. Only the leader may say so.
    Timeout,
}

/// A row of `mq_reply`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reply {
    uid: Uid,
    outcome: Outcome,
    /// Whether, when this was inserted, the lock was with the session that had sent the request.
    led: bool,
}

/// How far an outcome is on its way into the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Held; no statement yet.
    Held,
    /// Pool: the leader was seen to have the lock; nothing inserted.
    Checked,
    /// Pool: inserted; the leader's lock is to be looked at.
    Inserted {
        /// Whether the leader had the lock when it was inserted.
        led: bool,
    },
    /// Pool: only the commit is left.
    Sure {
        /// Whether the leader had the lock when it was inserted.
        led: bool,
    },
}

/// What a copy is about to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Task {
    uid: Uid,
    outcome: Outcome,
    /// When it was sent.
    term: Term,
    stage: Stage,
}

impl Task {
    fn is_inserted(&self) -> bool {
        matches!(self.stage, Stage::Inserted { .. } | Stage::Sure { .. })
    }
}

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Process {
    /// At work.
    Runs,
    /// Stopped by the operating system; goes on where it was.
    Frozen,
    /// Killed; a new one may start in its place.
    Dead,
}

/// A copy of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Copy {
    process: Process,
    /// The term in which it believes to lead.
    leads: Option<Term>,
    /// What was sent and not answered, in that term.
    in_flight: Option<Uid>,
    /// What it is about to write; a handler's transaction goes on when the term is over.
    task: Option<Task>,
}

const NEW: Copy = Copy { process: Process::Runs, leads: None, in_flight: None, task: None };

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    copies: [Copy; 2],
    /// Whose session holds the lock, and in which term.
    lock: Option<(usize, Term)>,
    /// How many led so far, counted up to two.
    leaders: u8,
    /// The row that the database has committed now.
    row: Uid,
    /// The replies that are committed for its id.
    replies: Vec<Reply>,
    /// Requests on their way, by uid.
    requests: Vec<Uid>,
    /// Replies on their way, by the uid they answer; a forged one answers a uid that never was.
    on_the_way: Vec<Uid>,
    /// A reply of the target's was lost.
    reply_lost: bool,
    faults: u8,
    losses: u8,
    failovers: u8,
    forgeries: u8,
    sends: u8,
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

/// The database's part.
impl State {
    fn has_lock(&self, who: usize, term: Term) -> bool {
        self.lock == Some((who, term))
    }

    fn new_term(&self) -> Term {
        let remembered = |term| {
            self.copies
                .iter()
                .any(|copy| copy.leads == Some(term) || copy.task.is_some_and(|task| task.term == term))
        };
        (0..).find(|term| !remembered(*term)).expect("two copies remember four at most")
    }

    /// Which copy is which does not matter: the lesser comes first.
    fn in_order(mut self) -> Self {
        if self.copies[1] < self.copies[0] {
            self.copies.swap(0, 1);
            self.lock = self.lock.map(|(holder, term)| (1 - holder, term));
        }
        self
    }

    /// Settled by what the target said.
    fn is_answered(&self) -> bool {
        self.replies.iter().any(|reply| reply.outcome == Outcome::Said)
    }

    /// A statement that inserts a reply waits for whoever has inserted one and not committed.
    fn waits(&self, variant: Variant) -> bool {
        variant != Variant::WithoutPrimaryKey
            && self.copies.iter().any(|copy| copy.task.is_some_and(|task| task.is_inserted()))
    }

    /// ON CONFLICT DO NOTHING: the first reply wins.
    fn conflicts(&self, variant: Variant) -> bool {
        variant != Variant::WithoutPrimaryKey && !self.replies.is_empty()
    }

    /// What was not committed is rolled back; its copy learns it at its next statement, and tries again.
    fn roll_back(&mut self, who: usize) {
        if let Some(task) = &mut self.copies[who].task {
            task.stage = Stage::Held;
        }
    }
}

impl Leadership {
    fn may_settle(&self, answered: Uid, in_flight: Uid) -> bool {
        self.variant == Variant::IdentityById || in_flight == answered
    }

    /// What is to be inserted on a pool connection, and what comes after.
    fn insert(&self, state: &mut State, who: usize) -> Option<()> {
        let mut task = state.copies[who].task?;
        let led = state.has_lock(who, task.term);
        let is_the_row = task.uid == state.row || self.variant == Variant::PoolWithoutUid;
        if state.conflicts(self.variant) || !is_the_row {
            state.copies[who].task = None;
            return Some(());
        }
        let unchecked =
            matches!(self.variant, Variant::WritesOutsideItsSession | Variant::DeposedSettlesTimeout);
        task.stage = match (task.outcome, task.stage) {
            (Outcome::Timeout, Stage::Held) if !unchecked => Stage::Inserted { led },
            _ => Stage::Sure { led },
        };
        state.copies[who].task = Some(task);
        Some(())
    }

    fn check(&self, state: &mut State, who: usize) -> Option<()> {
        let task = state.copies[who].task?;
        let stage = match task.stage {
            Stage::Inserted { led } => Stage::Sure { led },
            _ => Stage::Checked,
        };
        let leads = match self.variant {
            Variant::ChecksTheCopy => state.lock.is_some_and(|(holder, _)| holder == who),
            _ => state.has_lock(who, task.term),
        };
        state.copies[who].task = leads.then_some(Task { stage, ..task });
        Some(())
    }

    fn copy_actions(&self, state: &State, who: usize, actions: &mut Vec<Action>) {
        let copy = &state.copies[who];
        if let Some(term) = copy.leads {
            if copy.in_flight.is_some() {
                // Timers and the connection to NATS do not know of the lock.
                if state.sends > 0 && self.variant != Variant::SendsOnce {
                    actions.push(Action::SendAgain(who));
                }
                if copy.task.is_none() {
                    actions.push(Action::GiveUp(who));
                    actions.extend((0..state.on_the_way.len()).map(|at| Action::Arrive(who, at)));
                }
            }
            if !state.has_lock(who, term) {
                actions.push(Action::Notice(who));
            } else if copy.in_flight.is_none()
                && state.replies.is_empty()
                && state.sends > 0
                && copy.task.is_none_or(|task| task.term != term)
            {
                actions.push(Action::Send(who));
            }
        } else if state.lock.is_none() {
            actions.push(Action::Lead(who));
        }
        let Some(task) = copy.task else { return };
        let check_first = self.variant == Variant::CheckThenInsert && task.outcome == Outcome::Timeout;
        match task.stage {
            Stage::Held => {
                if !state.waits(self.variant) {
                    if state.has_lock(who, task.term) {
                        actions.push(Action::Settle(who));
                    }
                    if !check_first {
                        actions.push(Action::Insert(who));
                    }
                }
                if check_first {
                    actions.push(Action::Check(who));
                }
            }
            Stage::Checked if state.waits(self.variant) => {}
            Stage::Checked => actions.push(Action::Insert(who)),
            Stage::Inserted { .. } => actions.push(Action::Check(who)),
            Stage::Sure { .. } => actions.push(Action::Commit(who)),
        }
    }

    /// Whether somebody can be counted on to do it, once nothing breaks any more.
    fn is_honest(state: &State, action: &Action) -> bool {
        match action {
            Action::LoseRequest(_)
            | Action::LoseReply(_)
            // It settles the row as well, and would hide that nothing else can.
            | Action::GiveUp(_)
            | Action::Crash(_)
            | Action::Freeze(_)
            | Action::Failover { .. }
            | Action::Forge => false,
            // A frozen copy may stay so, as long as there is another.
            Action::Thaw(_) => state.copies.iter().all(|copy| copy.process == Process::Frozen),
            _ => true,
        }
    }

    fn can_settle(&self, state: &State) -> bool {
        if !state.replies.is_empty() {
            return true;
        }
        let calm = State { faults: 0, losses: 0, failovers: 0, forgeries: 0, sends: 2, ..state.clone() };
        can_reach(self, calm, Self::is_honest, |state| !state.replies.is_empty())
    }
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
                    let open = copy.task.is_some_and(|task| task.stage != Stage::Held);
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
                    state.copies[who].task =
                        Some(Task { uid, outcome: Outcome::Said, term, stage: Stage::Held });
                }
            }
            Action::GiveUp(who) => {
                let (term, uid) = (state.copies[who].leads?, state.copies[who].in_flight.take()?);
                state.copies[who].task =
                    Some(Task { uid, outcome: Outcome::Timeout, term, stage: Stage::Held });
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
                let Task { uid, outcome, stage: Stage::Sure { led }, .. } = state.copies[who].task.take()?
                else {
                    return None;
                };
                state.replies.push(Reply { uid, outcome, led });
            }
            Action::Notice(who) => {
                let term = state.copies[who].leads.take()?;
                let given_up = state.copies[who].in_flight.take();
                if let (Variant::DeposedSettlesTimeout, Some(uid), None) =
                    (self.variant, given_up, state.copies[who].task)
                {
                    state.copies[who].task =
                        Some(Task { uid, outcome: Outcome::Timeout, term, stage: Stage::Held });
                }
            }
            Action::EndIdle(who) => state.roll_back(who),
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
                // All sessions die with the server, those of the pool included; a copy finds out when it speaks to it.
                state.failovers -= 1;
                state.lock = None;
                state.row += u8::from(row_lost);
                state.replies.clear();
                (0..state.copies.len()).for_each(|who| state.roll_back(who));
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
                let held = |task: Task| task.stage == Stage::Held && state.has_lock(0, task.term);
                state.copies[0].task.is_some_and(held) && state.waits(Variant::AsBuilt)
            }),
            Property::sometimes("a timeout is rolled back behind a new leader", |_, state: &State| {
                let late = |who: usize, task: Task| {
                    matches!(task.stage, Stage::Inserted { led: true })
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
