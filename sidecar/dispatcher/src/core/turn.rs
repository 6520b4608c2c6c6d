//! A turn: everything is looked at once, and the statements whose time has come begin.

use std::time::Instant;

use tpro_runtime::plant;

use super::{
    Action, Core, Done, End, Notice, State, Statement, bell::Act, cursor::Cursor, note::Backlog,
    snapshot::Snapshot, unreplied::Unreplied, writing::Step,
};

/// Rows that may wait as ids for room in their lanes; beyond it nothing is read until some are
/// settled. Those that wait for the one before them do not count: none of them goes before all is
/// read.
pub(super) const WAITING_MAX: usize = 4_000_000;

impl Core {
    /// Looks at everything.
    pub(super) fn turn(&mut self) {
        match self.state {
            State::Over => return,
            // The next leader begins at the cursor of some seconds ago.
            State::HandingOver { until } if self.now >= until => return self.end(End::Silent),
            State::HandingOver { .. } => return,
            State::Leading | State::Stopping { .. } => {}
        }
        if self.link.patience_ends().is_some_and(|ends| self.now >= ends) {
            return self.end(End::Cut);
        }
        // Before the belts are watched: the lane of a message that is given out may have to ask.
        if self.state == State::Leading {
            self.give_out();
        }
        self.watch_timers();
        self.watch_belts();
        if self.pulse.is_dead(self.now) {
            return self.end(End::Silent);
        }
        self.begin_statements();
        self.show();
        if let State::Stopping { until } = self.state
            && (self.is_through() || self.now >= until)
        {
            self.hand_over();
        }
    }

    /// Begins the statements whose time has come.
    fn begin_statements(&mut self) {
        if self.pulse.ask(self.now) {
            self.actions.push_back(Action::AskStandby);
        }
        while let Some(step) = self.settling.next_write(&self.spans, self.now) {
            self.go_on_writing(step);
        }
        if self.settling.try_now(self.now) {
            self.run(Statement::TryToSettle);
        }
        // Reading that was held is judged again; a moment left over from before would have the
        // driver spin when it has passed.
        self.reading.hold(None);
        self.begin_recall();
        if self.state == State::Leading {
            self.begin_sending_due();
            self.ask_for_holds();
            self.begin_reading();
        }
        self.begin_handlers();
        self.begin_forwarding();
        self.begin_look_back();
        self.begin_note();
        self.ask_echo();
        if self.pulse.beat(self.now) {
            self.run(Statement::Heartbeat);
        }
    }

    /// Reads and the bell's statements: one at a time, in the order the bell wants.
    fn begin_reading(&mut self) {
        self.begin_recovery();
        self.begin_fetch();
        match self.reading.act(self.now) {
            Some(Act::Read) if self.may_read() => self.begin_page(),
            Some(Act::Read) | None => {}
            Some(act @ Act::Sleep) => {
                self.reading.bell_begins(act);
                self.run(Statement::Sleep);
            }
            Some(act @ Act::Wake) => {
                self.reading.bell_begins(act);
                self.run(Statement::Wake);
            }
        }
    }

    /// True if reading makes sense: rows that are read must be sendable, and there must be room for
    /// their ids at least.
    pub(super) fn may_read(&self) -> bool {
        let sendable = self.may_send() && !self.lanes.is_choked();
        let free = self.state == State::Leading && !self.reading.is_held_back(self.now);
        sendable && free && self.lanes.waiting() < WAITING_MAX
    }

    /// Rows that wait as ids: for room in their lanes, or for the one before them.
    pub(super) fn waiting(&self) -> usize {
        self.lanes.waiting() + self.chains.waiting()
    }

    /// When to look back below the floor and to move the cursor.
    fn move_due(&self) -> Option<Instant> {
        let below = self.reading.floor().last_below().is_some();
        self.schedule.move_due(below, self.reading.is_behind())
    }

    /// When to look for what came into the outbox below the floor.
    fn below_due(&self) -> Option<Instant> {
        self.reading.below_due().filter(|_| !self.schedule.is_moving())
    }

    /// True if the cursor may move: everything that was read is visible in one snapshot.
    pub(super) fn may_move(&self) -> bool {
        self.reading.is_between() && self.reading.has_recovered()
    }

    /// Looks for what became visible below the floor. The cursor moves when that is known, and as
    /// far.
    fn begin_look_back(&mut self) {
        let held = self.reading.is_looking() || self.reading.is_held_back(self.now);
        if held || !self.may_move() {
            return;
        }
        if self.move_due().is_some_and(|due| self.now >= due) {
            let moves = self.schedule.move_begins(self.now);
            self.look_back(moves);
        } else if self.below_due().is_some_and(|due| self.now >= due) {
            self.look_back(false);
        }
    }

    pub(super) fn look_back(&mut self, moves: bool) {
        self.reading.look_back_begins();
        let (seen, until) = (self.reading.floor().seen().clone(), self.reading.seen().clone());
        let last = self.reading.floor().last_below();
        self.run(Statement::LookBack { seen, until, last, moves });
    }

    fn on_looked_back(
        &mut self,
        until: Snapshot,
        (found, owed): (&[Unreplied], Vec<i64>),
        drawn: i64,
        moves: bool,
    ) {
        // Those that are sent at their time have ids from before.
        let expected = self.reading.expects_below();
        if !found.is_empty() && !expected {
            tracing::warn!(
                rows = found.len(),
                "messages came with ids that were drawn long ago; they are sent now"
            );
        }
        found.iter().for_each(|row| self.keep(row));
        owed.into_iter().for_each(|id| self.note_reply(id, true));
        let moves = moves || !(found.is_empty() || expected);
        let drawn = Some(drawn).filter(|_| moves && self.schedule.unsettled().pending().is_some());
        self.reading.looked_back(until, drawn, self.now);
        if !found.is_empty() {
            self.schedule.news();
        }
        if moves {
            self.begin_move();
        } else {
            self.schedule.moved();
        }
    }

    fn begin_move(&mut self) {
        if let Some(cursor) = self.cursor(false) {
            self.run(Statement::MoveCursor(cursor));
        } else {
            // Too much is pending; look again in a while.
            self.schedule.moved();
            self.schedule.news();
        }
    }

    /// The place where the next leader begins; none when too much is pending.
    pub(super) fn cursor(&self, clean: bool) -> Option<Cursor> {
        let pending = self.schedule.unsettled().pending()?;
        let mut snapshot = self.reading.floor().seen().clone();
        if plant::is_planted("cursor without open transactions") {
            snapshot = Snapshot::new(snapshot.xmax(), snapshot.xmax(), Vec::new());
        }
        Some(Cursor { snapshot, pending, clean })
    }

    /// Notes how much waits, for publishers; a new leader does not know yet.
    fn begin_note(&mut self) {
        if !self.reading.has_recovered() || !self.schedule.note_is_due(self.now) {
            return;
        }
        let unsettled = i64::try_from(self.schedule.unsettled().len()).unwrap_or(i64::MAX);
        let (whole, read) = (self.reading.is_between(), self.reading.last_id());
        let backlog = Backlog { unsettled, whole, read, seen: self.reading.seen().clone() };
        if self.schedule.note_begins(backlog, self.now) {
            self.run(Statement::Note { unsettled, whole, read });
        }
    }

    /// A statement has ended.
    pub(super) fn on_done(&mut self, done: Done) {
        if self.pulse.answers(self.now) {
            self.actions.push_back(Action::Show(Notice::Standby(false)));
        }
        match done {
            Done::Page { cur, rows, limit, gone } => self.on_page(cur, rows, limit, &gone),
            Done::Recovered(page) => self.on_recovered(page),
            Done::Fetched { asked, rows, gone } => self.on_fetched(&asked, rows, &gone),
            Done::Holds(asked, rows) => self.chains.asked(&asked, &rows),
            Done::Recalled { gone, owed } => self.on_recalled(&gone, &owed),
            Done::Forwards(replies) => self.on_forwards(replies),
            Done::Slept { ours, leaders } => self.reading.bell_taken(ours, leaders, self.now),
            Done::Woken => self.reading.bell_let_go(self.now),
            Done::Settled(writing, result) => self.go_on_writing(writing.tried(result)),
            Done::Missing(writing, ids) => self.go_on_writing(writing.missing(&ids)),
            Done::LookedBack { until, found, owed, drawn, moves } => {
                self.on_looked_back(until, (&found, owed), drawn, moves);
            }
            Done::Moved => self.schedule.moved(),
            Done::Noted => self.schedule.noted(),
            Done::Tried(reason) => self.settling.tried(reason, self.now),
            Done::SentDue(sent) => self.on_sent_due(sent),
            Done::Beat => {
                self.pulse.beaten();
                self.chains.rung();
            }
        }
    }

    /// The next step of a batch.
    fn go_on_writing(&mut self, step: Step) {
        match step {
            Step::Write(writing) => self.run(Statement::Settle(writing)),
            Step::Ask(writing) => self.run(Statement::Missing(writing)),
            Step::Pause(writing) => self.settling.pause(writing, self.now),
            Step::Written(written, hold) => self.on_written(written, hold),
            Step::Broken(why) => self.end(End::Broken(why)),
        }
    }

    /// Shows how it stands: in the gauges, and in readiness if that has changed.
    fn show(&mut self) {
        let reason = self.settling.stuck_reason();
        if reason != self.shown.as_deref() {
            self.shown = reason.map(str::to_owned);
            self.actions.push_back(Action::Show(Notice::Replies(self.shown.clone())));
        }
        let (held, before) = (self.chains.held() as i64, self.counts.held_keys.get());
        if held > 0 && before == 0 {
            tracing::warn!("ordering keys are held: messages behind one that has failed wait (mq_hold)");
        }
        self.counts.held_keys.set(held);
        self.counts.in_flight.set(self.messages.len() as i64);
        self.counts.waiting.set(self.waiting() as i64);
        self.counts.unsettled.set(self.schedule.unsettled().len() as i64);
        self.counts.floor.set(self.reading.floor().first().max(0));
        self.counts.asleep.set(i64::from(self.reading.is_armed()));
    }

    /// The next moment at which there is something to do by itself. Everything here is in the
    /// future, or waits for another event: a moment that has passed and cannot be acted on would
    /// make the driver spin.
    pub fn next_timeout(&self) -> Option<Instant> {
        let stop = match self.state {
            State::Leading => None,
            State::Stopping { until } => Some(until),
            State::HandingOver { until } => return Some(until),
            State::Over => return None,
        };
        let reads = match self.reading.held_until() {
            Some(until) => Some(until),
            None if self.may_read() => self.reading.bell_due(),
            None => None,
        };
        let leads = self.state == State::Leading;
        let times = [
            reads,
            self.later.due().filter(|_| leads),
            self.messages.next_due(),
            self.lanes.rested_at(self.now).filter(|_| self.link.is_up()),
            self.settling.due(),
            self.link.echo_due(),
            self.link.patience_ends(),
            self.move_due().filter(|_| self.may_move()),
            self.below_due().filter(|_| self.may_move()),
            self.reading.look_due(self.now),
            stop,
        ];
        Some(times.into_iter().flatten().fold(self.pulse.due(), Instant::min))
    }
}
