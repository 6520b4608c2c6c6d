//! An answer in a form in which both servers can be compared.

use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};
use tpro_simulation::postgres::{Answer, Holding, LookedBack, Message, Statement, Unsettled};

use super::text::{Translation, read_uuid};

/// The result of a statement: lines, or a SQLSTATE.
pub type Result = std::result::Result<Vec<String>, String>;

/// The answer of the simulated server. Not all of what it says has a counterpart: a message is known by its place.
pub fn of_simulation(answer: &Answer) -> Vec<String> {
    let one = |text: String| vec![text];
    match answer {
        Answer::Done => Vec::new(),
        Answer::RolledBack => one("rolled back".into()),
        Answer::Count(count) => one(format!("{count} rows")),
        Answer::Number(number) => one(number.to_string()),
        Answer::Flag(flag) => one(flag.to_string()),
        Answer::Maybe(number) => number.iter().map(i64::to_string).collect(),
        Answer::Xid(xid) => one(xid.0.to_string()),
        Answer::Snapshot(snapshot) => one(snapshot.to_string()),
        Answer::Page(page) => {
            let rows = page.rows.iter().map(|(m, whole)| message_line(m, *whole));
            rows.chain(page.cur.iter().map(|cur| cur.to_string())).collect()
        }
        Answer::Messages(messages) => messages.iter().map(|m| message_line(m, true)).collect(),
        Answer::Ids(ids) => ids.iter().map(i64::to_string).collect(),
        Answer::Holds(holds) => {
            holds.iter().map(|hold| format!("{} {} {}", hold.id, hold.lane, hold.key)).collect()
        }
        Answer::Unsettled(rows) => {
            let row = |row: &Unsettled| format!("{} {} {}", row.id, row.lane, row.priority);
            rows.iter().map(row).collect()
        }
        Answer::LookedBack(rows) => {
            let row = |row: &LookedBack| {
                let LookedBack { tx, id, lane, priority, settled, forwards, .. } = row;
                format!("{} {id} {lane} {settled} {forwards} {priority}", tx.0)
            };
            rows.iter().map(row).collect()
        }
        Answer::Forwards(replies) => {
            replies.iter().map(|(id, uid, status)| format!("{id} {uid:x} {status}")).collect()
        }
        Answer::Cursor(cursor) => one(format!("{} {:?} {}", cursor.snapshot, cursor.pending, cursor.clean)),
        Answer::Uids(uids) => {
            let mut uids = uids.clone();
            uids.sort_unstable();
            uids.iter().map(|uid| format!("{uid:x}")).collect()
        }
        Answer::Known(known) => known
            .iter()
            .map(|k| {
                format!(
                    "{:x} {:?} {:?} {} {} {} {:?} {}",
                    k.uid, k.answer, k.run, k.ours, k.has_time, k.is_present, k.first, k.is_awaited
                )
            })
            .collect(),
        Answer::Outcomes(outcomes) => {
            outcomes.iter().map(|(uid, answer)| format!("{uid:x} {answer}")).collect()
        }
        Answer::Time(_) | Answer::Identity(..) | Answer::SentDue(_) | Answer::Callbacks(_) => {
            panic!("{answer:?} is no part of a script")
        }
    }
}

fn message_line(message: &Message, whole: bool) -> String {
    let Message { tx, id, uid, lane, priority, .. } = message;
    format!("{} {id} {uid:x} {lane} {priority} {whole}", tx.0)
}

/// The answer of the real server.
pub fn of_postgres(statement: &Statement, messages: &[SimpleQueryMessage], by: &Translation) -> Vec<String> {
    let rows: Vec<&SimpleQueryRow> = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        })
        .collect();
    let count = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::CommandComplete(count) => Some(*count),
        _ => None,
    });
    let text = |row: &SimpleQueryRow, at: usize| row.get(at).unwrap_or_default().to_owned();
    let flag = |row: &SimpleQueryRow, at: usize| (row.get(at) == Some("t")).to_string();
    let each = |read: &dyn Fn(&SimpleQueryRow) -> String| rows.iter().map(|row| read(row)).collect();
    let lane = |subject: String| subject.split('.').take(2).collect::<Vec<_>>().join(".");
    let message = |row: &SimpleQueryRow| match row.get(1) {
        Some(tx) => format!(
            "{} {} {:x} {} {} {}",
            by.read_xid(tx).0,
            text(row, 2),
            read_uuid(&text(row, 3)),
            lane(text(row, 4)),
            text(row, 14),
            row.get(12).is_some()
        ),
        None => by.read_snapshot(&text(row, 0)).to_string(),
    };
    let opt = |row: &SimpleQueryRow, at: usize| row.get(at).map(std::sync::Arc::<str>::from);
    match statement {
        Statement::Wake(_) => Vec::new(),
        Statement::TakeXid => each(&|row| by.read_xid(&text(row, 0)).0.to_string()),
        Statement::Snapshot => each(&|row| by.read_snapshot(&text(row, 0)).to_string()),
        Statement::Publish(..) | Statement::Draw(_) | Statement::Drawn(_) => each(&|row| text(row, 0)),
        // The product leaves out what lies between the ids and was not asked for.
        Statement::Settled(_, ids) => {
            let found = rows.iter().map(|row| text(row, 0));
            found.filter(|id| ids.iter().any(|asked| asked.to_string() == *id)).collect()
        }
        Statement::Owed(..) => each(&|row| text(row, 0)),
        Statement::Forward(..) => {
            each(&|row| format!("{} {:x} {}", text(row, 0), read_uuid(&text(row, 1)), text(row, 3)))
        }
        Statement::Begun(..) | Statement::CountRepeat(..) => each(&|row| text(row, 0)),
        Statement::Read(..) | Statement::Fetch(..) => each(&message),
        Statement::LookBack(..) => each(&|row| {
            let (tx, id, lane) = (by.read_xid(&text(row, 0)).0, text(row, 1), text(row, 2));
            format!("{tx} {id} {lane} {} {} {}", flag(row, 3), flag(row, 4), text(row, 5))
        }),
        Statement::Unsettled(..) => {
            each(&|row| format!("{} {} {}", text(row, 0), text(row, 1), text(row, 2)))
        }
        Statement::Settle(..)
        | Statement::SettleUnsettled(..)
        | Statement::SettleOwn(..)
        | Statement::MoveCursor(..)
        | Statement::NoteBacklog(..)
        | Statement::Effect(..) => vec![format!("{} rows", count.unwrap_or_default())],
        Statement::SettleHolding(..) | Statement::Holds(_, Holding::Release(..) | Holding::LetGo(_)) => {
            each(&|row| format!("{} rows", text(row, 0)))
        }
        Statement::Holds(_, Holding::Behind(..) | Holding::Of(_)) => {
            each(&|row| format!("{} {} {}", text(row, 0), text(row, 1), text(row, 2)))
        }
        Statement::Holds(..) => vec![format!("{} rows", count.unwrap_or_default())],
        Statement::Cursor(_) => each(&|row| {
            let pending = text(row, 1).replace(['{', '}'], "").replace(',', ", ");
            format!("{} [{pending}] {}", by.read_snapshot(&text(row, 0)), flag(row, 2))
        }),
        Statement::Cancel(..)
        | Statement::Lead(_)
        | Statement::Sleep(_)
        | Statement::Present(..)
        | Statement::IsPresent(..)
        | Statement::IsLed(..) => each(&|row| flag(row, 0)),
        Statement::Accept(..) | Statement::Finish(..) | Statement::FinishAccepted(..) => {
            let mut uids: Vec<u128> = rows.iter().map(|row| read_uuid(&text(row, 0))).collect();
            uids.sort_unstable();
            uids.iter().map(|uid| format!("{uid:x}")).collect()
        }
        Statement::Known(..) => each(&|row| {
            let run: Option<i32> = row.get(2).and_then(|run| run.parse().ok());
            let first = run.map(|_| (opt(row, 6), opt(row, 7).unwrap_or_default(), opt(row, 8)));
            format!(
                "{:x} {:?} {run:?} {} {} {} {first:?} {}",
                read_uuid(&text(row, 0)),
                opt(row, 1),
                flag(row, 3),
                flag(row, 4),
                flag(row, 5),
                flag(row, 9)
            )
        }),
        Statement::Outcomes(..) => each(&|row| format!("{:x} {}", read_uuid(&text(row, 0)), text(row, 1))),
        _ => Vec::new(),
    }
}
