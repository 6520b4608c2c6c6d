//! A copy that does not lead: it asks for the lock and watches over the one that leads. When it gets
//! the lock, it looks up the messages that are left.

use std::time::Duration;

use tpro_dispatcher::core::{Begin, Finding, Inquiry};

use super::{
    World,
    event::{Event, Owner},
    jobs::BACK_OFF,
    line::Ended,
    process::{Lead, Life},
    rows,
};
use crate::postgres::{Answer, Service, SessionId, SqlState, Statement};

/// The pause between two questions for the lock.
const INTERVAL: u64 = 500_000;
/// The pause between two looks whether the leader is frozen.
const LOOK: Duration = Duration::from_millis(500);
/// A session of a follower that does not answer for so long is dead.
const PATIENCE: Duration = Duration::from_secs(5);
/// A session that lasted so long is no reason to wait before the next.
const SETTLED_IN: Duration = Duration::from_millis(500);

impl World {
    /// Has a copy ask for the lock after a while.
    pub(super) fn follow_in(&mut self, at: usize, pause: Duration) {
        let process = &mut self.processes[at];
        process.token += 1;
        let token = process.token;
        self.scheduler.after(pause, Event::Follow(at, token));
    }

    pub(super) fn on_follow(&mut self, at: usize, token: u64) {
        let process = &self.processes[at];
        if process.token != token || process.life != Life::Runs || !process.serves {
            return;
        }
        let (now, service) = (self.now(), Service(process.service));
        let session = match process.lead {
            Lead::Away => {
                let Some(session) = self.connect(Owner::Leader(at), Some(at)) else {
                    self.processes[at].failures += 1;
                    return self.back_off(at);
                };
                let process = &mut self.processes[at];
                (process.lead, process.since, process.asked) = (Lead::Follows(session), now, None);
                session
            }
            Lead::Follows(session) => session,
            // It hears of the answers.
            Lead::Claims(_) | Lead::Begins(..) | Lead::Leads(..) => return,
        };
        let process = &self.processes[at];
        if let Some(asked) = process.asked {
            if now - asked > PATIENCE {
                self.note(format_args!("process {at} gives {session:?} up"));
                return self.leader_falls(at, session);
            }
        } else {
            let looks = now - process.looked >= LOOK;
            // A copy that cannot send leaves the lead to one that can.
            let asks = process.connection.is_some();
            if asks || looks {
                self.processes[at].asked = Some(now);
            }
            if looks {
                self.processes[at].looked = now;
                self.ask(session, Statement::Depose(service));
            }
            if asks {
                self.ask(session, Statement::Lead(service));
            }
        }
        let pause = INTERVAL / 2 + self.scheduler.random().below(INTERVAL / 2);
        self.follow_in(at, Duration::from_micros(pause));
    }

    /// An answer has come to the session by which a copy leads or wants to.
    pub(super) fn leader_hears(&mut self, at: usize, session: SessionId, ended: Ended) {
        if self.processes[at].lead.session() != Some(session) {
            return;
        }
        let tries = self.tries(at);
        match &mut self.processes[at].lead {
            Lead::Leads(..) => self.job_hears(at, session, ended),
            Lead::Away => {}
            Lead::Follows(_) => self.follower_hears(at, session, ended),
            Lead::Claims(_) => self.claimer_hears(at, session, ended),
            Lead::Begins(_, take_over) => {
                let finding = match ended.result {
                    Ok(Answer::Cursor(cursor)) => Finding::Cursor(rows::cursor(&cursor)),
                    Ok(Answer::Unsettled(open)) => {
                        Finding::Unsettled(open.iter().map(rows::unreplied).collect())
                    }
                    Ok(Answer::Ids(owed)) => Finding::Owed(owed),
                    Ok(Answer::Count(_)) => Finding::Moved,
                    // LISTEN is answered like a try to settle.
                    Ok(Answer::Done) if !tries => return,
                    Ok(Answer::Done) => Finding::Tried(None),
                    // Of a question before it had the lock.
                    Ok(Answer::Flag(_)) => return,
                    Err(SqlState::DISK_FULL) if tries => {
                        Finding::Tried(Some(SqlState::DISK_FULL.0.to_owned()))
                    }
                    Ok(Answer::Snapshot(snapshot)) => Finding::Snapshot(rows::snapshot(&snapshot)),
                    _ => return self.leader_falls(at, session),
                };
                take_over.finds(finding);
                self.processes[at].asked = None;
                self.inquire(at, session);
            }
        }
    }

    /// True if the copy has asked whether replies can be written.
    fn tries(&self, at: usize) -> bool {
        self.processes[at].asked.is_some()
    }

    fn follower_hears(&mut self, at: usize, session: SessionId, ended: Ended) {
        self.processes[at].asked = None;
        match ended.result {
            Err(_) => self.leader_falls(at, session),
            // Of the two questions, that for the lock is the last one: only it can be answered so
            // while nobody leads.
            Ok(Answer::Flag(true))
                if self.database.leader(Service(self.processes[at].service)) == Some(session) =>
            {
                self.begin_to_claim(at, session);
            }
            Ok(_) => {}
        }
    }

    /// Nobody leads from another server.
    pub(super) fn begin_to_lead(&mut self, at: usize, session: SessionId) {
        self.note(format_args!("process {at} begins to lead on {session:?}"));
        let service = Service(self.processes[at].service);
        self.processes[at].lead = Lead::Begins(session, Box::default());
        self.processes[at].asked = None;
        self.ask(session, Statement::Listen(self.database.bell_channel(service)));
        self.ask(session, Statement::Listen(self.database.cancel_channel(service)));
        self.ask(session, Statement::Listen(self.database.due_channel(service)));
        self.hear_replies(at);
        self.inquire(at, session);
    }

    /// The next question of a copy that begins to lead.
    fn inquire(&mut self, at: usize, session: SessionId) {
        let (now, service) = (self.now(), Service(self.processes[at].service));
        let Lead::Begins(_, take_over) = &mut self.processes[at].lead else { return };
        let statement = match take_over.step() {
            Begin::Lead(found) => return self.lead(at, session, found),
            Begin::Ask(Inquiry::Cursor) => Statement::Cursor(service),
            Begin::Ask(Inquiry::Unsettled(ids)) => Statement::Unsettled(service, ids),
            Begin::Ask(Inquiry::Owed(ids)) => Statement::Owed(service, ids),
            Begin::Ask(Inquiry::MoveCursor(cursor)) => {
                Statement::MoveCursor(service, rows::to_cursor(&cursor))
            }
            Begin::Ask(Inquiry::TryToSettle) => {
                self.processes[at].asked = Some(now);
                Statement::TryToSettle(service)
            }
            Begin::Ask(Inquiry::Snapshot) => Statement::Snapshot,
        };
        self.ask(session, statement);
    }

    /// The session by which a copy leads or wants to is of no use any more.
    pub(super) fn leader_falls(&mut self, at: usize, session: SessionId) {
        if self.processes[at].lead.session() == Some(session) {
            self.note(format_args!("process {at} has no {session:?} any more"));
            self.processes[at].lead = Lead::Away;
            self.falls(at, session, false);
        }
    }

    /// A copy leads no more. What is at its reply handlers goes on, unless only a leader may say it.
    pub(super) fn falls(&mut self, at: usize, session: SessionId, stopped: bool) {
        let now = self.now();
        self.close(session);
        self.hear_no_replies(at);
        self.hear_no_claims(at);
        self.end_words_of(session);
        let process = &mut self.processes[at];
        process.handled.clear();
        process.failures = if now - process.since > SETTLED_IN { 0 } else { process.failures + 1 };
        process.asked = None;
        if !stopped && process.serves {
            self.back_off(at);
        }
    }

    fn back_off(&mut self, at: usize) {
        let (first, most) = BACK_OFF;
        let pause = (first * (1 << self.processes[at].failures.min(8))).min(most).as_micros() as u64;
        let pause = pause / 2 + self.scheduler.random().below(pause / 2);
        self.follow_in(at, Duration::from_micros(pause));
    }
}
