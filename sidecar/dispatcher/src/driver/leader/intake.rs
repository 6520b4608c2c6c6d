//! Rows on their way in: from a page or a fetch into flight, or into the queue of a lane that has no room.

use std::{sync::Arc, time::Duration};

use tpro_runtime::{failpoint, metrics::Reason};

use super::{Done, Leader};
use crate::{
    core::{
        bell::{Act, Found},
        floor::Floor,
        lane::Waiting,
        lane_id::LaneId,
        message::{Message, Phase},
        outcome::Outcome,
        published::{Content, Published, Row},
        recovery::{PAGE, Recovered, keep},
        snapshot::Snapshot,
    },
    driver::{
        outbox::{Outbox, OutboxError},
        recovery,
    },
};

/// Rows that may wait as ids; beyond it nothing is read until some are settled.
const WAITING_MAX: usize = 4_000_000;

impl Leader {
    /// True if reading makes sense: rows that are read must be sendable, and there must be room for their ids at least.
    pub(super) fn may_read(&self, connected: bool) -> bool {
        let sendable = connected && !self.lanes.is_choked() && !self.outbox.stuck().is_stuck();
        let free = self.until.is_none() && !self.recall.holds_reads(self.now);
        sendable && free && self.lanes.waiting() < WAITING_MAX
    }

    pub(super) fn begin_page(&mut self) {
        self.hold = self.lanes.hold_reading(self.now);
        if self.hold.is_some() {
            return;
        }
        self.bell.begun(Act::Read);
        self.reading = true;
        if self.reader.is_between() {
            self.recall.window_begins();
        }
        let doubted = self.recall.doubts_unread();
        let limit = self.lanes.page();
        let closed: Vec<String> = self.lanes.closed().into_iter().map(str::to_owned).collect();
        let (outbox, window, first) = (self.outbox.clone(), self.reader.window(), self.floor.first());
        self.begin_job(async move {
            let (cur, rows) = outbox.page(&window, first, limit as i64, &closed).await?;
            let gone = if doubted { settled(&outbox, &rows).await? } else { Vec::new() };
            Ok(Done::Page { cur, rows, limit, gone })
        });
    }

    pub(super) fn begin_recovery(&mut self, connected: bool) {
        let Some(recovery) = self.recovery.as_ref().filter(|_| !self.looking && connected) else { return };
        if self.recall.holds_reads(self.now) || self.lanes.waiting() + PAGE > WAITING_MAX {
            return;
        }
        self.looking = true;
        let page = recovery::page(Arc::clone(&self.outbox), recovery.window());
        self.begin_job(async move { page.await.map(Done::Recovered) });
    }

    pub(super) fn begin_fetch(&mut self, connected: bool) {
        if self.fetching || !connected || self.outbox.stuck().is_stuck() || self.recall.holds_reads(self.now)
        {
            return;
        }
        let asked = self.lanes.take_fetch(self.now);
        if asked.is_empty() {
            return;
        }
        self.fetching = true;
        let doubted = self.recall.doubts_fetched();
        let outbox = self.outbox.clone();
        self.begin_job(async move {
            let mut ids: Vec<i64> = asked.iter().map(|(_, row)| row.id()).collect();
            ids.sort_unstable();
            let rows = outbox.fetch(&ids).await?;
            let gone = if doubted { settled(&outbox, &rows).await? } else { Vec::new() };
            Ok(Done::Fetched { asked, rows, gone })
        });
    }

    pub(super) fn on_recovered(&mut self, page: Recovered) {
        self.looking = false;
        self.count_read("recovery");
        for (id, lane) in &page.rows {
            keep(*id, lane, &mut self.lanes, &mut self.unsettled);
        }
        self.pace.news();
        let Some(recovery) = &mut self.recovery else { return };
        if !recovery.advance(page.cur, page.last, page.full) {
            // Up to its end now all of it is read; of the reader's, what was read since.
            self.floor = Floor::new(self.app.config.maintenance.partition_rows, recovery.seen().clone());
            self.recovery = None;
            let waiting = self.lanes.waiting();
            tracing::info!(waiting, "took over: all rows that a leader before may have sent are known");
        }
    }

    pub(super) fn on_page(&mut self, cur: Snapshot, rows: Vec<Row>, limit: usize, gone: &[i64]) {
        self.reading = false;
        let mut last = None;
        let count = rows.len();
        for row in rows {
            last = Some((row.tx, row.id));
            if gone.binary_search(&row.id).is_ok() {
                self.pass_over(row.id);
            } else {
                self.take(row);
            }
        }
        let more = self.reader.advance(cur, last, count == limit);
        if !more {
            self.recall.window_ends();
        }
        let found = match count {
            0 => Found::Nothing,
            _ if more => Found::More,
            _ => Found::Some,
        };
        self.count_read(if count == 0 { "empty" } else { "rows" });
        if count > 0 {
            failpoint::pass("dispatcher.read");
        }
        self.bell.read(found, self.now);
        if count > 0 {
            self.pace.news();
        }
    }

    /// A row of a page: sent at once if its lane has room.
    fn take(&mut self, row: Row) {
        let lane = self.lanes.of(&row.lane);
        if !self.unsettled.add(row.id) {
            return;
        }
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

    pub(super) fn on_fetched(&mut self, asked: &[(LaneId, Waiting)], mut rows: Vec<Row>, gone: &[i64]) {
        self.fetching = false;
        self.count_read("fetch");
        let mut back = Vec::new();
        for (lane, waiting) in asked {
            if gone.binary_search(&waiting.id()).is_ok() || !self.unsettled.contains(waiting.id()) {
                self.lanes.fetched(*lane);
                self.pass_over(waiting.id());
                continue;
            }
            let Ok(at) = rows.binary_search_by_key(&waiting.id(), |row| row.id) else {
                // Its partition was dropped: there is nothing left to settle.
                self.lanes.fetched(*lane);
                self.unsettled.remove(waiting.id());
                continue;
            };
            match std::mem::replace(&mut rows[at].content, Content::Bare) {
                Content::Whole(row) => {
                    if let Err((row, bytes)) = self.admit(row, *lane, waiting.may_have_run(), true) {
                        back.push((*lane, row, bytes));
                    }
                }
                Content::Broken(broken) => {
                    self.lanes.fetched(*lane);
                    self.settle_broken(waiting.id(), *lane, *broken);
                }
                Content::Bare => self.lanes.fetched(*lane),
            }
        }
        // The last first, so that they stand in their order before the others.
        back.into_iter().rev().for_each(|(lane, row, bytes)| self.lanes.wait_first(lane, row, bytes));
    }

    /// Lets a row fly, or settles it unsent; gives it back as an id, and its size, when its lane has no room.
    fn admit(
        &mut self,
        row: Box<Published>,
        lane: LaneId,
        may_have_run: bool,
        fetched: bool,
    ) -> Result<(), (Waiting, usize)> {
        if let Some(outcome) = self.unsendable(&row, may_have_run) {
            if fetched {
                self.lanes.fetched(lane);
            }
            self.settle_unsent(*row, lane, outcome);
            return Ok(());
        }
        let bytes = row.weight();
        let admitted =
            if fetched { self.lanes.admit_fetched(lane, bytes) } else { self.lanes.admit(lane, bytes) };
        if !admitted {
            return Err((Waiting::new(row.id, may_have_run), bytes));
        }
        let expires = row.expires_in.map(|ms| self.now + Duration::from_millis(ms.unsigned_abs()));
        let (uid, producer) = (row.uid, row.traceparent);
        let message = Message {
            row: *row,
            lane,
            phase: Phase::Flying,
            queued: true,
            attempt: 0,
            expires,
            deadline: None,
            due: self.now,
            timer: None,
            first_sent: None,
            may_have_run,
            recovered: may_have_run,
            question: None,
            unanswered: false,
            refusal: None,
            noise: 0,
            span: None,
            producer,
        };
        match self.in_flight.insert(uid, message) {
            Ok(key) => self.sending.push(key),
            Err(message) => {
                self.lanes.land(lane, bytes, None, 0);
                self.lanes.settled(1, 0);
                self.settle_unsent(message.row, lane, Outcome::broken("uid"));
            }
        }
        Ok(())
    }

    /// The outcome of a row that is not to be sent at all.
    fn unsendable(&self, row: &Published, may_have_run: bool) -> Option<Outcome> {
        let most = self.app.config.limits.hops;
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

/// Which of these rows have a reply, in order.
async fn settled(outbox: &Outbox, rows: &[Row]) -> Result<Vec<i64>, OutboxError> {
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    if ids.is_empty() { Ok(ids) } else { outbox.settled(&ids).await }
}
