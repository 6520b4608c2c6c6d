//! One run, as a list of steps.

use std::{fmt, time::Duration};

use tpro_wire::limits::MAX_TIMEOUT;

use super::{
    faults, outbox,
    plan::{self, Measure},
    range::Range,
    retire,
    session::{MaintenanceError, Session},
    swap::swap,
    sweep::sweep,
    table::{ALL, OUTCOME, PUBLISH, RECEIVE, REPLY, Table},
};
use crate::{config::Config, db::Servers};

const DAY: Duration = Duration::from_secs(86_400);
/// Days of the inbox made ahead. A uid is at most some minutes ahead of us.
const DAYS: Measure = Measure { width: 1, ahead: 7, margin: 2 };

/// What a run has done.
#[derive(Debug, Default)]
pub struct Report {
    /// Why nothing was done at all.
    pub idle: Option<&'static str>,
    /// What was made, dropped and put off, in words, and whether somebody who reads the log should know.
    lines: Vec<(String, bool)>,
    /// Tables that were dropped with their rows, each with its partitioned table.
    pub(super) drops: Vec<&'static str>,
    /// Tables there are now, for each partitioned table.
    pub(super) parts: Vec<(&'static str, usize)>,
    /// Steps that others' transactions or unsettled messages kept from being done.
    pub(super) held: usize,
    /// Ranges of the outbox that are wholly ahead.
    pub(super) ahead: usize,
}

impl Report {
    pub(super) fn dropped(&mut self, table: &Table, range: &Range) {
        self.drops.push(table.name);
        self.lines.push((format!("dropped {}, {}", table.name, table.key.words(range)), true));
    }

    pub(super) fn put_off(&mut self, table: &Table, range: &Range, why: &str) {
        self.held += 1;
        self.lines
            .push((format!("kept {}, {}, until later: {why}", table.name, table.key.words(range)), true));
    }

    /// As it should be: it only is not time yet.
    pub(super) fn unsettled(&mut self, range: &Range) {
        let ids = PUBLISH.key.words(range);
        self.lines.push((format!("kept mq_publish, {ids}: it has unsettled messages"), false));
    }

    fn made(&mut self, table: &Table, plan: &plan::Plan) {
        let rest = plan.fill.map_or(String::new(), |fill| {
            format!("; the overflow range had rows and is now {}", table.key.words(&fill))
        });
        self.lines.push((format!("made {} ranges ahead for {}{rest}", plan.new.len(), table.name), true));
    }

    /// What is worth a line in the log.
    pub(super) fn news(&self) -> String {
        let news = self.lines.iter().filter(|(_, news)| *news);
        news.map(|(line, _)| line.as_str()).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(idle) = self.idle {
            return writeln!(f, "nothing done: {idle}");
        }
        self.lines.iter().try_for_each(|(line, _)| writeln!(f, "{line}"))?;
        let parts: Vec<String> = self.parts.iter().map(|(table, parts)| format!("{table} {parts}")).collect();
        writeln!(f, "partitions now: {}; {} ranges of the outbox ahead", parts.join(", "), self.ahead)
    }
}

/// One run, if no other is under way.
pub async fn run(config: &Config, servers: &Servers) -> Result<Report, MaintenanceError> {
    let mut report = Report::default();
    let session = match Session::open(config, servers).await? {
        Ok(session) => session,
        Err(idle) => return Ok(Report { idle: Some(idle), ..report }),
    };
    let today = session.today().await?;
    // What is accepted at the very end of the window may be at work for a budget more.
    let kept = config.limits.inbox_window + Duration::from_secs(MAX_TIMEOUT.unsigned_abs().into()) + DAY / 24;
    let first_day = today - i64::try_from(kept.as_secs().div_ceil(DAY.as_secs())).unwrap_or(0);
    // What a run before us has left half done.
    for table in &ALL {
        table.finalize(&session).await?;
    }
    sweep(&session, &mut report, first_day).await?;
    make_ahead(&session, &mut report, config, today).await?;
    retire::publish(&session, &mut report, config.maintenance.retention).await?;
    sweep(&session, &mut report, first_day).await?;
    retire::reply(&session, &mut report).await?;
    retire::inbox(&session, &mut report, first_day).await?;
    sweep(&session, &mut report, first_day).await?;
    faults::delete(&session).await?;
    for table in &ALL {
        report.parts.push((table.name, table.ranges(&session).await?.len()));
    }
    let next = outbox::next_id(&session).await?;
    let ranges = PUBLISH.ranges(&session).await?;
    report.ahead = ranges.iter().filter(|range| range.low >= next && !range.is_rest()).count();
    Ok(report)
}

/// Ranges ahead, for all four tables.
async fn make_ahead(
    session: &Session,
    report: &mut Report,
    config: &Config,
    today: i64,
) -> Result<(), MaintenanceError> {
    let width = config.maintenance.partition_rows;
    let ids = Measure { width, ahead: 4, margin: width.saturating_mul(16) };
    let next = outbox::next_id(session).await?;
    let plan = plan::ahead(&PUBLISH.parts(session, next).await?, next, ids);
    make(session, report, &PUBLISH, plan).await?;
    // The replies' ranges are the messages', so that both go together.
    let plan = plan::follow(&REPLY.parts(session, 0).await?, &PUBLISH.ranges(session).await?);
    make(session, report, &REPLY, plan).await?;
    for table in [OUTCOME, RECEIVE] {
        let plan = plan::ahead(&table.parts(session, today + 1).await?, today + 1, DAYS);
        make(session, report, &table, plan).await?;
    }
    Ok(())
}

async fn make(
    session: &Session,
    report: &mut Report,
    table: &Table,
    plan: Option<plan::Plan>,
) -> Result<(), MaintenanceError> {
    let Some(plan) = plan else { return Ok(()) };
    match swap(session, table, &plan).await {
        Ok(()) => report.made(table, &plan),
        Err(error) if error.is_held() => {
            report.put_off(
                table,
                &Range::new(plan.rest, super::range::MAX),
                "open transactions use the table",
            );
        }
        Err(error) => return Err(error),
    }
    Ok(())
}
