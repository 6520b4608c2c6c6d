//! Rows on their way in: from a page or a fetch into flight, into the queue of a lane that has no
//! room, or behind another one with the same ordering key.

use tpro_runtime::{failpoint, metrics::Reason, plant};

use super::{
    Core, Statement,
    chains::Given,
    lane::Waiting,
    lane_id::LaneId,
    message::{Message, Place},
    outcome::Outcome,
    published::{Content, Published, Row},
    recovery::{PAGE, Recovered},
    snapshot::Snapshot,
    turn::WAITING_MAX,
    unreplied::Unreplied,
};

impl Core {
    pub(super) fn begin_page(&mut self) {
        let hold = self.lanes.hold_reading(self.now);
        self.reading.hold(hold);
        if hold.is_some() {
            return;
        }
        let (window, first, doubted) = self.reading.page_begins(self.now);
        let limit = self.lanes.page();
        let closed = self.lanes.closed();
        self.run(Statement::Page { window, first, limit, closed, doubted });
    }

    pub(super) fn begin_recovery(&mut self) {
        let Some(window) = self.reading.recovery().filter(|_| self.link.is_up()) else { return };
        if self.reading.is_held_back(self.now) || self.lanes.waiting() + PAGE > WAITING_MAX {
            return;
        }
        self.reading.look_begins();
        self.run(Statement::Recover(window));
    }

    pub(super) fn begin_fetch(&mut self) {
        if self.reading.is_fetching() || !self.may_send() || self.reading.is_held_back(self.now) {
            return;
        }
        let asked = self.lanes.take_fetch(self.now);
        if asked.is_empty() {
            return;
        }
        let doubted = self.reading.fetch_begins();
        self.run(Statement::Fetch { asked, doubted });
    }

    /// Keeps a row that may have been sent as its id, once.
    pub(super) fn keep(&mut self, row: &Unreplied) {
        if !self.schedule.read(row.id) {
            return;
        }
        let waiting = Waiting::new(row.id, true);
        match &row.key {
            Some(key) => self.chains.read(&row.lane, key, row.priority, waiting),
            None => {
                let lane = self.lanes.of(&row.lane, row.priority);
                self.lanes.wait(lane, waiting);
            }
        }
    }

    pub(super) fn on_recovered(&mut self, page: Recovered) {
        self.count_read("recovery");
        page.rows.iter().for_each(|row| self.keep(row));
        page.owed.iter().for_each(|id| self.note_reply(*id, true));
        self.schedule.news();
        if self.reading.recovered(page) {
            let waiting = self.waiting();
            tracing::info!(waiting, "took over: all rows that a leader before may have sent are known");
        }
    }

    pub(super) fn on_page(&mut self, cur: Snapshot, rows: Vec<Row>, limit: usize, gone: &[i64]) {
        let count = rows.len();
        let last = rows.last().map(|row| (row.tx, row.id));
        for row in rows {
            if gone.binary_search(&row.id).is_ok() {
                if let Some(key) = &row.key {
                    self.chains.read_settled(&row.lane, key, row.id);
                }
                self.pass_over(row.id, row.forwards);
            } else {
                self.take(row);
            }
        }
        let found = self.reading.page_read(cur, last, (count, limit), self.now);
        self.count_read(if count == 0 { "empty" } else { "rows" });
        if count > 0 {
            failpoint::pass("dispatcher.read");
            self.schedule.news();
        }
        self.reading.page_taken(found, self.now);
    }

    /// A row of a page: sent at once if its lane has room.
    fn take(&mut self, row: Row) {
        if !self.schedule.read(row.id) {
            return;
        }
        if let Some(key) = &row.key {
            return self.chains.read(&row.lane, key, row.priority, Waiting::new(row.id, false));
        }
        let lane = self.lanes.of(&row.lane, row.priority);
        match row.content {
            Content::Bare => self.lanes.wait(lane, Waiting::new(row.id, false)),
            Content::Whole(whole) => {
                if let Err((row, _)) = self.admit(whole, lane, false, false) {
                    self.lanes.wait(lane, row);
                }
            }
            Content::Broken(broken) => self.settle_broken(row.id, lane, *broken),
        }
    }

    /// True if all is read that may stand before another message of its ordering key: a row that is
    /// visible and not read yet may.
    fn knows_order(&self) -> bool {
        self.may_move() || plant::is_planted("key before all is read")
    }

    /// Reads which ordering keys are held.
    pub(super) fn ask_for_holds(&mut self) {
        if let Some(asked) = self.chains.ask(self.knows_order()) {
            self.run(Statement::Holds(asked));
        }
    }

    /// Has messages with an ordering key fetched, where the one before is settled.
    pub(super) fn give_out(&mut self) {
        if !self.chains.are_free() || !self.knows_order() {
            return;
        }
        for Given { lane, priority, row } in self.chains.give_out() {
            let lane = self.lanes.of(&lane, priority);
            self.lanes.wait(lane, row);
        }
    }

    pub(super) fn on_fetched(&mut self, asked: &[(LaneId, Waiting)], mut rows: Vec<Row>, gone: &[i64]) {
        self.reading.fetched();
        self.count_read("fetch");
        asked.iter().for_each(|(lane, _)| self.lanes.fetched(*lane));
        let mut back = Vec::new();
        for (lane, waiting) in asked {
            let found = rows.binary_search_by_key(&waiting.id(), |row| row.id);
            let is_gone = gone.binary_search(&waiting.id()).is_ok();
            if is_gone || !self.awaits_reply(waiting.id()) {
                self.pass_over(waiting.id(), is_gone && found.is_ok_and(|at| rows[at].forwards));
                continue;
            }
            let Ok(at) = found else {
                // Its partition was dropped: there is nothing left to settle.
                self.schedule.settled(waiting.id());
                self.chains.settled(waiting.id());
                continue;
            };
            match std::mem::replace(&mut rows[at].content, Content::Bare) {
                Content::Whole(row) => {
                    if let Err((row, bytes)) = self.admit(row, *lane, waiting.may_have_run(), true) {
                        back.push((*lane, row, bytes));
                    }
                }
                Content::Broken(broken) => self.settle_broken(waiting.id(), *lane, *broken),
                Content::Bare => {}
            }
        }
        // The last first, so that they stand in their order before the others.
        back.into_iter().rev().for_each(|(lane, row, bytes)| self.lanes.wait_first(lane, row, bytes));
    }

    /// Lets a row fly, or settles it unsent; gives it back as an id, and its size, when its lane
    /// has no room.
    fn admit(
        &mut self,
        row: Box<Published>,
        lane: LaneId,
        may_have_run: bool,
        fetched: bool,
    ) -> Result<(), (Waiting, usize)> {
        if let Some(outcome) = self.unsendable(&row, may_have_run) {
            self.settle_unsent(*row, lane, outcome);
            return Ok(());
        }
        let bytes = row.weight();
        let admitted =
            if fetched { self.lanes.admit_fetched(lane, bytes) } else { self.lanes.admit(lane, bytes) };
        if !admitted {
            return Err((Waiting::new(row.id, may_have_run), bytes));
        }
        if let Some(twin) = self.messages.begin(Message::new(*row, lane, may_have_run, self.now)) {
            self.lanes.let_go(lane, bytes, Place::Flying);
            self.settle_unsent(twin.row, lane, Outcome::broken("uid"));
        }
        Ok(())
    }

    /// The outcome of a row that is not to be sent at all.
    fn unsendable(&self, row: &Published, may_have_run: bool) -> Option<Outcome> {
        let most = self.settings.hops;
        if row.hops > most {
            return Some(Outcome::too_many_hops(most));
        }
        let has_expired = row.expires_in.is_some_and(|ms| ms <= 0);
        has_expired.then(|| Outcome::expired(&row.target, may_have_run))
    }

    pub(super) fn count_read(&self, reason: &'static str) {
        self.counts.reads.get_or_create(&Reason { reason }).inc();
    }
}
