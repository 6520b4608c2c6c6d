//! `tpro migrate`: the schema of a service of the Go system becomes one of tpro, and back. The work
//! is done by the functions of `sql/from_go`.

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::options::{GivenBack, Moved, TakenOver};
use crate::paper::Paper;
use crate::problem::{Ending, MIGRATE, Problem};
use crate::session::{Parameter, Session};

/// The functions, for this session.
const FUNCTIONS: &str = concat!(
    include_str!("../../../sql/from_go/functions.sql"),
    include_str!("../../../sql/from_go/back.sql")
);
/// The time for which a table that others hold is tried again.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two tries. Publishers go on meanwhile.
const PAUSE: Duration = Duration::from_millis(300);

/// A thing that was found.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// `refused` or `look`.
    pub kind: String,
    /// The thing in words.
    pub finding: String,
    /// The messages that have it.
    pub messages: Option<i64>,
    /// The id of one of them.
    pub example: Option<i64>,
}

/// All that was found.
#[derive(Debug, Serialize)]
pub struct Found {
    /// The service.
    pub service: String,
    /// The findings.
    pub findings: Vec<Finding>,
}

/// The id up to which the Go copies may have sent.
#[derive(Debug, Serialize)]
pub struct Mark {
    /// The service.
    pub service: String,
    /// The id.
    pub after: i64,
}

/// A service that was taken over.
#[derive(Debug, Serialize)]
pub struct Done {
    /// The service.
    pub service: String,
    /// The messages that were not sent, and wait for the copies of tpro.
    pub taken: i64,
    /// The next id.
    pub next_id: i64,
}

/// A service that was given back.
#[derive(Debug, Serialize)]
pub struct Back {
    /// The service.
    pub service: String,
    /// The id beyond which the Go copies have sent nothing.
    pub after: i64,
    /// The messages that waited, and are in the old outbox now.
    pub taken: i64,
    /// The messages that a Go copy cannot send.
    pub left_behind: i64,
}

/// Messages that the Go copies were told of.
#[derive(Debug, Serialize)]
pub struct Told {
    /// The service.
    pub service: String,
    /// The number of messages.
    pub told: i64,
}

/// Looks at what the rules of tpro would refuse.
pub async fn check(session: &Session, moved: &Moved) -> Result<Found, Problem> {
    begin(session).await?;
    let statement = "SELECT f.kind, f.finding, f.messages, f.example FROM pg_temp.from_go_check($1) f";
    let rows = session.query_as(MIGRATE, statement, &[(&moved.name, Type::TEXT)]).await?;
    session.rest().await?;
    let finding = |row: &Row| Finding {
        kind: row.get(0),
        finding: row.get(1),
        messages: row.get(2),
        example: row.get(3),
    };
    Ok(Found { service: moved.name.clone(), findings: rows.iter().map(finding).collect() })
}

/// Notes the id up to which the Go copies may have sent.
pub async fn mark(session: &Session, moved: &Moved) -> Result<Mark, Problem> {
    let statement = "SELECT pg_temp.from_go_try_mark($1)";
    let row = tried(session, &moved.name, statement, &[(&moved.name, Type::TEXT)]).await?;
    Ok(Mark { service: moved.name.clone(), after: row.get(0) })
}

/// Takes the service over.
pub async fn run(session: &Session, taken: &TakenOver) -> Result<Done, Problem> {
    let login = taken.login.clone().unwrap_or_default();
    let statement = "SELECT r.taken, r.next_id FROM pg_temp.from_go_try_run($1, $2, $3) r";
    let parameters: [Parameter<'_>; 3] =
        [(&taken.name, Type::TEXT), (&taken.after, Type::INT8), (&login, Type::TEXT)];
    let row = tried(session, &taken.name, statement, &parameters).await?;
    Ok(Done { service: taken.name.clone(), taken: row.get(0), next_id: row.get(1) })
}

/// Gives the service back.
pub async fn back(session: &Session, moved: &Moved) -> Result<Back, Problem> {
    let statement = "SELECT b.after, b.taken, b.left_behind FROM pg_temp.from_go_try_back($1) b";
    let row = tried(session, &moved.name, statement, &[(&moved.name, Type::TEXT)]).await?;
    let service = moved.name.clone();
    Ok(Back { service, after: row.get(0), taken: row.get(1), left_behind: row.get(2) })
}

/// Has the Go copies send what none of them has heard of.
pub async fn send(session: &Session, given: &GivenBack) -> Result<Told, Problem> {
    begin(session).await?;
    let parameters: [Parameter<'_>; 2] = [(&given.name, Type::TEXT), (&given.after, Type::INT8)];
    let rows = session.query_as(MIGRATE, "SELECT pg_temp.from_go_send($1, $2)", &parameters).await?;
    session.rest().await?;
    let told = rows.first().map_or(0, |row| row.get(0));
    Ok(Told { service: given.name.clone(), told })
}

/// The row of a statement that needs the table of publishers, and says null while others hold it.
async fn tried(
    session: &Session,
    service: &str,
    statement: &str,
    parameters: &[Parameter<'_>],
) -> Result<Row, Problem> {
    let since = Instant::now();
    loop {
        begin(session).await?;
        let mut rows = session.query_as(MIGRATE, statement, parameters).await?;
        session.rest().await?;
        match rows.pop() {
            Some(row) if row.try_get::<_, Option<i64>>(0).is_ok_and(|value| value.is_some()) => {
                return Ok(row);
            }
            _ if since.elapsed() >= PATIENCE => {
                return Err(Problem::new(
                    Ending::Ill,
                    format!("others have held {service}_service.mq_publish for {} s", PATIENCE.as_secs()),
                    "a transaction stays open that has published, or a VACUUM works there: see pg_stat_activity; nothing was changed",
                ));
            }
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Begins a transaction that has the functions. A table of many rows may take its time.
async fn begin(session: &Session) -> Result<(), Problem> {
    session.may_write().await?;
    session.batch(MIGRATE, "SET LOCAL statement_timeout = 0").await?;
    session.batch(MIGRATE, FUNCTIONS).await
}

impl Found {
    /// Ill if anything would be refused.
    pub fn ending(&self) -> Ending {
        if self.findings.iter().any(|finding| finding.kind == "refused") { Ending::Ill } else { Ending::Well }
    }

    /// For a person.
    pub fn write(&self, paper: &mut Paper) {
        if self.findings.is_empty() {
            return paper.line(&format!("{}: nothing that the rules of tpro would refuse", self.service));
        }
        for one in &self.findings {
            let count = match (one.messages, one.example) {
                (Some(messages), Some(example)) => format!(" ({messages} messages, such as {example})"),
                _ => String::new(),
            };
            paper.line(&format!("{}: {}{count}", one.kind, one.finding));
        }
    }
}

impl Mark {
    /// For a person, and for a shell: the number alone.
    pub fn write(&self, paper: &mut Paper) {
        paper.line(&self.after.to_string());
    }
}

impl Done {
    /// For a person.
    pub fn write(&self, paper: &mut Paper) {
        let (service, taken, next) = (&self.service, self.taken, self.next_id);
        paper.line(&format!("{service} is a service of tpro; its old schema is {service}_service_go"));
        paper.line(&format!("{taken} messages were not sent and wait for its copies; the next id is {next}"));
    }
}

impl Back {
    /// For a person.
    pub fn write(&self, paper: &mut Paper) {
        let Self { service, after, taken, left_behind } = self;
        paper.line(&format!(
            "{service} is a service of the Go system again; what tpro had is in {service}_service_new"
        ));
        paper.line(&format!(
            "{taken} messages waited; the Go copies get them by: tpro migrate send {service} --after {after}"
        ));
        if *left_behind > 0 {
            paper.line(&format!(
                "{left_behind} messages that the Go system cannot send stay in {service}_service_new"
            ));
        }
    }
}

impl Told {
    /// For a person.
    pub fn write(&self, paper: &mut Paper) {
        paper.line(&format!("{} messages were told to the Go copies of {}", self.told, self.service));
    }
}
