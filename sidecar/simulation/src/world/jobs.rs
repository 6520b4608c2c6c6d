//! The statements that the core asks for, as the statements of the database that they are.
//!
//! It is the part of the driver that knows PostgreSQL. A job asks one statement after the other, and
//! those of several jobs come to the session in the order in which they are asked.

use std::time::Duration;

use tpro_dispatcher::core::{
    AT_MOST, Done, LaneId, Sent, Statement, Trouble, Unreplied, Unwritten, Waiting, Writing,
    holds::{self, Asked},
    published::Row,
    reader::Window,
    recovery::{PAGE, Recovered},
    snapshot::{Snapshot, Xid},
};

use super::{callbacks::Known, clock, line::Ended, names::SERVICES, rows};
use crate::{
    postgres::{self, Answer, Hold, Holding, Service, SqlState},
    time::Time,
};

/// Services that are led, as a rule.
const LEADERS: u32 = SERVICES.len() as u32;

/// The next step of a job.
pub enum Next {
    /// Ask this, and go on with the job.
    Ask(Job, postgres::Statement),
    /// It is over.
    Done(Done),
    /// The session is of no use any more.
    Fall(SqlState),
}

/// Rows that were looked back at: those without a reply, and those with one that name a label for
/// it.
#[derive(Default)]
pub struct Looked {
    found: Vec<Unreplied>,
    owed: Vec<i64>,
}

/// A job that waits for an answer.
pub enum Job {
    Page { limit: usize, doubted: bool },
    PageSettled { limit: usize, cur: Snapshot, rows: Vec<Row> },
    Recover,
    Recovered { cur: Snapshot, last: Option<(Xid, i64)>, full: bool, named: Vec<i64> },
    Fetch { asked: Vec<(LaneId, Waiting)>, doubted: bool },
    FetchSettled { asked: Vec<(LaneId, Waiting)>, rows: Vec<Row> },
    Holds(Asked),
    Recall,
    RecallOwed { gone: Vec<i64> },
    Forward,
    Sleep,
    Wake,
    Settle(Box<Writing>, i64),
    SettleUnsettled(Box<Writing>, i64),
    Callbacks(Box<Writing>, i64),
    Missing(Box<Writing>),
    LookBack { seen: Snapshot, until: Snapshot, last: i64, moves: bool, looked: Looked },
    Drawn { until: Snapshot, moves: bool, looked: Looked },
    MoveCursor { clean: bool },
    Note,
    TryToSettle,
    SendDue,
    Heartbeat,
}

/// Begins what the core asks for.
pub fn begin(service: Service, statement: Statement, callbacks: &Known) -> Next {
    use postgres::Statement as Sql;
    match statement {
        Statement::Page { window, first, limit, closed, doubted } => {
            Next::Ask(Job::Page { limit, doubted }, read(service, &window, first, limit, Some(closed)))
        }
        Statement::Recover(window) => Next::Ask(Job::Recover, read(service, &window, i64::MIN, PAGE, None)),
        Statement::Fetch { asked, doubted } => {
            let ids = asked.iter().map(|(_, row)| row.id()).collect();
            Next::Ask(Job::Fetch { asked, doubted }, Sql::Fetch(service, ids))
        }
        Statement::Holds(asked) => {
            let holding = match &asked {
                Asked::Of(ids) => Holding::Of(ids.clone()),
                Asked::Behind(id) => Holding::Behind(*id, holds::PAGE),
            };
            Next::Ask(Job::Holds(asked), Sql::Holds(service, holding))
        }
        Statement::Recall(ids) if ids.is_empty() => {
            Next::Done(Done::Recalled { gone: Vec::new(), owed: Vec::new() })
        }
        Statement::Recall(ids) => Next::Ask(Job::Recall, Sql::Settled(service, ids)),
        Statement::Forward(ids) => Next::Ask(Job::Forward, Sql::Forward(service, ids)),
        Statement::Sleep => Next::Ask(Job::Sleep, Sql::Sleep(service)),
        Statement::Wake => Next::Ask(Job::Wake, Sql::Wake(service)),
        Statement::Settle(writing) => {
            let Some(number) = callbacks.number_for(writing.part()) else {
                return Next::Done(Done::Settled(writing, Err(new_handlers())));
            };
            let (replies, holds) = (replies(&writing), held(&writing));
            if !holds.is_empty() {
                let statement = Sql::SettleHolding(service, replies, number, holds);
                return Next::Ask(Job::SettleUnsettled(writing, number), statement);
            }
            Next::Ask(Job::Settle(writing, number), Sql::Settle(service, replies, number))
        }
        Statement::Missing(writing) => {
            let ids = writing.part().iter().map(|settled| settled.settlement.id).collect();
            Next::Ask(Job::Missing(writing), Sql::Unsettled(service, ids))
        }
        Statement::LookBack { seen, until, last: Some(last), moves } => {
            look_back(service, seen, until, last, moves, Looked::default(), None)
        }
        Statement::LookBack { until, last: None, moves, .. } => {
            Next::Ask(Job::Drawn { until, moves, looked: Looked::default() }, Sql::Drawn(service))
        }
        Statement::MoveCursor(cursor) => Next::Ask(
            Job::MoveCursor { clean: cursor.clean },
            Sql::MoveCursor(service, rows::to_cursor(&cursor)),
        ),
        Statement::Note { unsettled, whole, read } => {
            Next::Ask(Job::Note, Sql::NoteBacklog(service, unsettled, whole, read))
        }
        Statement::SendDue(from) => {
            let at_most = usize::try_from(AT_MOST).unwrap_or(usize::MAX);
            Next::Ask(Job::SendDue, Sql::SendDue(service, from.map(clock::of_moment), at_most))
        }
        Statement::TryToSettle => Next::Ask(Job::TryToSettle, Sql::TryToSettle(service)),
        Statement::Heartbeat => Next::Ask(Job::Heartbeat, Sql::Heartbeat),
    }
}

impl Job {
    /// Goes on with an answer.
    pub fn go_on(self, service: Service, ended: Ended, callbacks: &Known) -> Next {
        use postgres::Statement as Sql;
        let Ended { result, at, .. } = ended;
        let answer = match (self, result) {
            (Self::Settle(writing, number), Err(SqlState::UNIQUE)) => {
                let statement = Sql::SettleUnsettled(service, replies(&writing), number);
                return Next::Ask(Self::SettleUnsettled(writing, number), statement);
            }
            (Self::Settle(writing, _) | Self::SettleUnsettled(writing, _), Err(state)) => {
                return match unwritten(state) {
                    Some(unwritten) => Next::Done(Done::Settled(writing, Err(unwritten))),
                    None => Next::Fall(state),
                };
            }
            // The old one is as good, only older.
            (Self::MoveCursor { clean: false }, Err(SqlState::DISK_FULL)) => return Next::Done(Done::Moved),
            (Self::SendDue, Err(SqlState::DISK_FULL | SqlState::LOCK_NOT_AVAILABLE)) => {
                return Next::Done(Done::SentDue(None));
            }
            (Self::TryToSettle, Err(SqlState::DISK_FULL)) => {
                return Next::Done(Done::Tried(Some(SqlState::DISK_FULL.0.to_owned())));
            }
            (_, Err(state)) => return Next::Fall(state),
            (job, Ok(answer)) => (job, answer),
        };
        match answer {
            (Self::Page { limit, doubted }, Answer::Page(page)) => {
                let Some(cur) = page.cur else { return Next::Fall(SqlState::FAILED_TRANSACTION) };
                let (cur, rows) = (rows::snapshot(&cur), read_rows(&page.rows, at));
                if !doubted || rows.is_empty() {
                    return Next::Done(Done::Page { cur, rows, limit, gone: Vec::new() });
                }
                let ids = rows.iter().map(|row| row.id).collect();
                Next::Ask(Self::PageSettled { limit, cur, rows }, Sql::Settled(service, ids))
            }
            (Self::PageSettled { limit, cur, rows }, Answer::Ids(gone)) => {
                Next::Done(Done::Page { cur, rows, limit, gone })
            }
            (Self::Recover, Answer::Page(page)) => {
                let Some(cur) = page.cur else { return Next::Fall(SqlState::FAILED_TRANSACTION) };
                let (cur, full) = (rows::snapshot(&cur), page.rows.len() == PAGE);
                let last = page.rows.last().map(|(message, _)| (Xid(message.tx.0), message.id));
                let ids: Vec<i64> = page.rows.iter().map(|(message, _)| message.id).collect();
                if ids.is_empty() {
                    let (rows, owed) = (Vec::new(), Vec::new());
                    return Next::Done(Done::Recovered(Recovered { cur, last, full, rows, owed }));
                }
                let named = page.rows.iter().filter(|(message, _)| message.reply_to);
                let named = named.map(|(message, _)| message.id).collect();
                Next::Ask(Self::Recovered { cur, last, full, named }, Sql::Unsettled(service, ids))
            }
            (Self::Recovered { cur, last, full, named: mut owed }, Answer::Unsettled(open)) => {
                owed.retain(|id| !open.iter().any(|row| row.id == *id));
                let rows = open.iter().map(rows::unreplied).collect();
                Next::Done(Done::Recovered(Recovered { cur, last, full, rows, owed }))
            }
            (Self::Fetch { asked, doubted }, Answer::Messages(messages)) => {
                let rows: Vec<Row> = messages.iter().map(|message| rows::row(message, true, at)).collect();
                if !doubted || rows.is_empty() {
                    return Next::Done(Done::Fetched { asked, rows, gone: Vec::new() });
                }
                let ids = rows.iter().map(|row| row.id).collect();
                Next::Ask(Self::FetchSettled { asked, rows }, Sql::Settled(service, ids))
            }
            (Self::FetchSettled { asked, rows }, Answer::Ids(gone)) => {
                Next::Done(Done::Fetched { asked, rows, gone })
            }
            (Self::Holds(asked), Answer::Holds(found)) => Next::Done(Done::Holds(asked, rows::holds(found))),
            (Self::Recall, Answer::Ids(gone)) if gone.is_empty() => {
                Next::Done(Done::Recalled { gone, owed: Vec::new() })
            }
            (Self::Recall, Answer::Ids(gone)) => {
                let ids = gone.clone();
                Next::Ask(Self::RecallOwed { gone }, Sql::Owed(service, ids))
            }
            (Self::RecallOwed { gone }, Answer::Ids(owed)) => Next::Done(Done::Recalled { gone, owed }),
            (Self::Forward, Answer::Forwards(replies)) => {
                Next::Done(Done::Forwards(replies.iter().map(rows::forward).collect()))
            }
            (Self::Sleep, Answer::Flag(ours)) => Next::Done(Done::Slept { ours, leaders: LEADERS }),
            (Self::Wake, Answer::Done) => Next::Done(Done::Woken),
            (Self::Settle(writing, number) | Self::SettleUnsettled(writing, number), Answer::Count(0)) => {
                Next::Ask(Self::Callbacks(writing, number), Sql::Callbacks(service))
            }
            (Self::Settle(writing, _) | Self::SettleUnsettled(writing, _), Answer::Count(rows)) => {
                Next::Done(Done::Settled(writing, Ok(rows as u64)))
            }
            (Self::Callbacks(writing, number), Answer::Callbacks(read)) => {
                callbacks.read(read);
                let result = if read.number == number { Ok(0) } else { Err(new_handlers()) };
                Next::Done(Done::Settled(writing, result))
            }
            (Self::Missing(writing), Answer::Unsettled(open)) => {
                Next::Done(Done::Missing(writing, open.into_iter().map(|row| row.id).collect()))
            }
            (Self::LookBack { seen, until, last, moves, mut looked }, Answer::LookedBack(rows)) => {
                let place = rows.last().map(|row| (row.tx, row.id)).filter(|_| rows.len() == PAGE);
                for row in rows {
                    match row.settled {
                        true if row.forwards => looked.owed.push(row.id),
                        true => {}
                        false => looked.found.push(rows::looked_back(row)),
                    }
                }
                match place {
                    Some(_) => look_back(service, seen, until, last, moves, looked, place),
                    None => Next::Ask(Self::Drawn { until, moves, looked }, Sql::Drawn(service)),
                }
            }
            (Self::Drawn { until, moves, looked }, Answer::Number(drawn)) => {
                let Looked { found, owed } = looked;
                Next::Done(Done::LookedBack { until, found, owed, drawn, moves })
            }
            (Self::MoveCursor { .. }, Answer::Count(_)) => Next::Done(Done::Moved),
            (Self::Note, Answer::Count(_)) => Next::Done(Done::Noted),
            (Self::SendDue, Answer::SentDue(sent)) => {
                let postgres::SentDue { rows, least, upto, next, renamed: _ } = sent;
                let (rows, upto) = (rows as u64, upto.map(clock::moment));
                Next::Done(Done::SentDue(Some(Sent { rows, least, upto, next })))
            }
            (Self::TryToSettle, Answer::Done) => Next::Done(Done::Tried(None)),
            (Self::Heartbeat, Answer::Time(_)) => Next::Done(Done::Beat),
            (_, answer) => unreachable!("no statement of the core is answered by {answer:?} here"),
        }
    }
}

fn read(
    service: Service,
    window: &Window,
    first: i64,
    rows: usize,
    closed: Option<Vec<String>>,
) -> postgres::Statement {
    let Window { seen, until, after: (tx, id), .. } = window;
    let (seen, until) = (rows::to_snapshot(seen), until.as_ref().map(rows::to_snapshot));
    let after = (postgres::Xid(tx.0), *id);
    postgres::Statement::Read(service, postgres::Window { seen, until, after, rows, closed, first })
}

fn look_back(
    service: Service,
    seen: Snapshot,
    until: Snapshot,
    last: i64,
    moves: bool,
    looked: Looked,
    after: Option<(postgres::Xid, i64)>,
) -> Next {
    let (from, to) = (rows::to_snapshot(&seen), rows::to_snapshot(&until));
    let after = after.unwrap_or((postgres::Xid(seen.xmin().saturating_sub(1)), i64::MAX));
    let statement = postgres::Statement::LookBack(service, from, to, last, after, PAGE);
    Next::Ask(Job::LookBack { seen, until, last, moves, looked }, statement)
}

fn read_rows(found: &[(postgres::Message, bool)], at: Time) -> Vec<Row> {
    found.iter().map(|(message, whole)| rows::row(message, *whole, at)).collect()
}

fn replies(writing: &Writing) -> Vec<postgres::Reply> {
    writing.part().iter().map(rows::reply).collect()
}

/// The holds of those that ask for one.
fn held(writing: &Writing) -> Vec<Hold> {
    writing.part().iter().filter_map(rows::hold).collect()
}

/// There are reply handlers in SQL that were not known.
fn new_handlers() -> Unwritten {
    Unwritten { kind: Trouble::NewHandlers, sqlstate: String::new(), text: String::new() }
}

/// The reason why outcomes could not be written; none if it is the session's.
fn unwritten(state: SqlState) -> Option<Unwritten> {
    let kind = match state {
        SqlState::LOCK_NOT_AVAILABLE => Trouble::Held,
        SqlState::UNTRANSLATABLE => Trouble::BadValue,
        SqlState::DISK_FULL => Trouble::Shortage,
        _ => return None,
    };
    Some(Unwritten { kind, sqlstate: state.0.to_owned(), text: state.0.to_owned() })
}

/// The pause of a copy that has lost its session, the first and the longest.
pub const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));
