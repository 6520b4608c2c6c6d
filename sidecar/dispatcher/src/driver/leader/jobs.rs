//! The statements of the leader: jobs on its session, begun when their time has come, each coming back to the loop.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures_util::{FutureExt as _, future::BoxFuture};
use tpro_runtime::db::standby;

use super::{Fall, Leader};
use crate::{
    core::{
        bell::Act,
        cursor::Cursor,
        lane::Waiting,
        lane_id::LaneId,
        published::Row,
        recovery::{Recovered, keep},
        settler::Written,
        snapshot::Snapshot,
    },
    driver::{
        outbox::{Outbox, OutboxError},
        recovery,
        stuck::Hold,
        write,
    },
};

/// How often it is tried whether replies can be written, by a new leader who has found that they cannot.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// The result of a statement.
pub(super) enum Done {
    Page {
        cur: Snapshot,
        rows: Vec<Row>,
        limit: usize,
        gone: Vec<i64>,
    },
    Recovered(Recovered),
    Fetched {
        asked: Vec<(LaneId, Waiting)>,
        rows: Vec<Row>,
        gone: Vec<i64>,
    },
    /// Rows that have a reply.
    Recalled(Vec<i64>),
    Slept(bool),
    Woken,
    Written(Written),
    /// Rows that were found below the floor, up to which snapshot, and if the cursor is to move.
    LookedBack {
        until: Snapshot,
        found: Vec<(i64, String)>,
        drawn: i64,
        moves: bool,
    },
    Moved,
    Noted,
    Settles,
    Beat(SystemTime),
}

pub(super) type Job = BoxFuture<'static, Result<Done, OutboxError>>;

/// Tries now and then whether replies can be written, until they can.
pub(super) async fn until_it_settles(outbox: Arc<Outbox>, hold: Hold) -> Result<Done, OutboxError> {
    loop {
        tokio::time::sleep(TRY_AGAIN).await;
        match outbox.try_to_settle().await? {
            Some(reason) => hold.says(reason),
            None => return Ok(Done::Settles),
        }
    }
}

impl Leader {
    /// Begins the statements whose time has come.
    pub(super) fn begin_jobs(&mut self, connected: bool) -> Result<(), Fall> {
        if !self.jobs.is_empty() && self.now >= self.pulse.dies_at() {
            return Err(Fall::Silent);
        }
        if !self.jobs.is_empty() {
            self.pulse.ask(&self.app.servers, self.pid, self.now);
        }
        while let Some(batch) = self.settler.batch(self.now) {
            let (outbox, spans) = (self.outbox.clone(), self.app.spans.clone());
            self.begin_job(async move { write::write(outbox, spans, batch).await.map(Done::Written) });
        }
        // Reading that was held is judged again; a moment left over from before would have the loop spin when it has passed.
        self.hold = None;
        self.begin_recall();
        if self.until.is_none() {
            self.begin_reading(connected);
        }
        self.begin_handlers();
        self.begin_look_back();
        self.begin_note();
        if connected {
            self.claim.ask_again(self.now);
        }
        if connected && let Some(number) = self.barrier.ask(self.now) {
            self.ask_echo(number);
        }
        if self.pulse.beat(self.now) {
            let outbox = self.outbox.clone();
            self.begin_job(async move { outbox.heartbeat().await.map(Done::Beat) });
        }
        Ok(())
    }

    pub(super) fn begin_job(
        &mut self,
        job: impl Future<Output = Result<Done, OutboxError>> + Send + 'static,
    ) {
        if self.jobs.is_empty() {
            self.pulse.begins(self.now);
        }
        self.jobs.push(job.boxed());
    }

    /// Reads and the bell's statements: one at a time, in the order the bell wants.
    fn begin_reading(&mut self, connected: bool) {
        self.begin_recovery(connected);
        self.begin_fetch(connected);
        if self.reading {
            return;
        }
        match self.bell.act(self.now) {
            Some(Act::Read) if self.may_read(connected) => self.begin_page(),
            Some(Act::Read) | None => {}
            Some(Act::Sleep) => {
                self.bell.begun(Act::Sleep);
                let outbox = self.outbox.clone();
                self.begin_job(async move { outbox.sleep().await.map(Done::Slept) });
            }
            Some(Act::Wake) => {
                self.bell.begun(Act::Wake);
                let outbox = self.outbox.clone();
                self.begin_job(async move { outbox.wake().await.map(|()| Done::Woken) });
            }
        }
    }

    pub(super) fn on_standby(&mut self, waits: bool) {
        if waits && !self.jobs.is_empty() {
            self.pulse.waits(self.now);
            self.app.health.fail(standby::CHECK, standby::WAITS);
        }
    }

    /// When to look back below the floor and to move the cursor.
    pub(super) fn move_due(&self) -> Option<Instant> {
        let behind = self.floor.seen() != self.reader.seen();
        self.pace.due(self.floor.last_below().is_some(), behind)
    }

    /// Looks for what became visible below the floor. The cursor moves when that is known, and as far.
    fn begin_look_back(&mut self) {
        let due = self.move_due().is_some_and(|due| self.now >= due);
        let held = self.looking || self.recall.holds_reads(self.now);
        if !due || held || !self.reader.is_between() || self.recovery.is_some() {
            return;
        }
        self.looking = true;
        let moves = self.pace.has_news();
        self.pace.begun(self.now);
        let (outbox, last) = (self.outbox.clone(), self.floor.last_below());
        let (seen, until) = (self.floor.seen().clone(), self.reader.seen().clone());
        self.begin_job(async move {
            let (found, drawn) = recovery::look_back(&outbox, &seen, &until, last).await?;
            Ok(Done::LookedBack { until, found, drawn, moves })
        });
    }

    fn on_looked_back(&mut self, until: Snapshot, found: &[(i64, String)], drawn: i64, moves: bool) {
        self.looking = false;
        if !found.is_empty() {
            tracing::warn!(
                rows = found.len(),
                "messages came with ids that were drawn long ago; they are sent now"
            );
        }
        for (id, lane) in found {
            keep(*id, lane, &mut self.lanes, &mut self.unsettled);
        }
        self.floor.looked_back(until, drawn);
        if moves || !found.is_empty() {
            self.begin_move();
        } else {
            self.pace.moved();
        }
    }

    fn begin_move(&mut self) {
        if let Some(cursor) = self.cursor(false) {
            let outbox = self.outbox.clone();
            self.begin_job(async move {
                match outbox.move_cursor(&cursor).await {
                    Err(error) if error.is_shortage() => {
                        // The old one is as good, only older: who takes over looks through more.
                        tracing::warn!("{error}; the cursor stays where it was");
                        Ok(Done::Moved)
                    }
                    moved => moved.map(|()| Done::Moved),
                }
            });
        } else {
            // Too much is pending; look again in a while.
            self.pace.moved();
            self.pace.news();
        }
    }

    /// Notes how much waits, for publishers; a copy that has just begun to lead does not know yet.
    fn begin_note(&mut self) {
        if !self.note.is_due(self.now) || self.recovery.is_some() {
            return;
        }
        self.note.begins(self.now);
        let (whole, read) = (self.reader.is_between(), self.reader.window().after.1);
        let unsettled = i64::try_from(self.unsettled.len()).unwrap_or(i64::MAX);
        let outbox = self.outbox.clone();
        self.begin_job(
            async move { outbox.note_backlog(unsettled, whole, read).await.map(|()| Done::Noted) },
        );
    }

    pub(super) fn cursor(&self, clean: bool) -> Option<Cursor> {
        let pending = self.unsettled.pending()?;
        Some(Cursor { snapshot: self.floor.seen().clone(), pending, clean })
    }

    pub(super) fn on_done(&mut self, done: Done) {
        if self.pulse.answers(self.now) {
            self.app.health.ok(standby::CHECK);
        }
        match done {
            Done::Page { cur, rows, limit, gone } => self.on_page(cur, rows, limit, &gone),
            Done::Recovered(page) => self.on_recovered(page),
            Done::Fetched { asked, rows, gone } => self.on_fetched(&asked, rows, &gone),
            Done::Recalled(gone) => self.on_recalled(&gone),
            Done::Slept(ours) => self.bell.taken(ours, self.now),
            Done::Woken => self.bell.let_go(self.now),
            Done::Written(batch) => self.on_written(batch),
            Done::LookedBack { until, found, drawn, moves } => {
                self.on_looked_back(until, &found, drawn, moves);
            }
            Done::Moved => self.pace.moved(),
            Done::Noted => self.note.done(),
            Done::Settles => {}
            Done::Beat(theirs) => {
                self.pulse.beaten();
                self.app.clock.count_skew(theirs);
            }
        }
    }
}
