//! The services of a database: copies, leaders, and waiting messages.

use serde::Serialize;

use crate::problem::Problem;
use crate::session::Session;

/// A service.
#[derive(Debug, Serialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Messages in its outbox without a reply.
    pub unsettled: i64,
    /// The age of the oldest of them.
    pub oldest_age_seconds: Option<f64>,
    /// The copy that leads.
    pub leader: Option<Leader>,
    /// True if the leader has nothing to do and waits for the bell.
    pub asleep: bool,
    /// The copies that are connected.
    pub copies: Vec<Copy>,
    /// The targets of the messages without a reply.
    pub waiting: Vec<Waiting>,
}

/// The session that leads.
#[derive(Debug, Serialize)]
pub struct Leader {
    /// The process of its session on the database server.
    pub pid: i32,
    /// The copy, if the session names it.
    pub copy: Option<i32>,
}

/// A copy, by its sessions.
#[derive(Debug, Serialize)]
pub struct Copy {
    /// `COPY_NUMBER`.
    pub copy: i32,
    /// The number of its sessions.
    pub sessions: i64,
}

/// Messages for one target.
#[derive(Debug, Serialize)]
pub struct Waiting {
    /// `<space>.<service>.<entity>.<method>`.
    pub target: String,
    /// The number of messages without a reply.
    pub messages: i64,
    /// The age of the oldest.
    pub oldest_age_seconds: f64,
}

const SERVICES: &str = "\
    SELECT s.name, max(l.pid) FILTER (WHERE l.lock = 'leader'), coalesce(bool_or(l.lock = 'bell'), false)
      FROM tpro.service_schemas s LEFT JOIN tpro.locks l ON l.schema_oid = s.schema_oid
     GROUP BY s.name ORDER BY s.name";

/// A client chooses its application_name freely. So a session counts only if its role may act for
/// the service.
const COPIES: &str = "\
    SELECT n.name[2], n.name[3]::int4, count(*), array_agg(a.pid)
      FROM pg_stat_activity a
     CROSS JOIN LATERAL (SELECT regexp_match(a.application_name, '^(tpro)/([a-z0-9_]+)/([0-9]{1,9})/') AS name) n
      JOIN pg_roles r ON r.rolname = n.name[2] || '_sidecar' AND pg_has_role(a.usesysid, r.oid, 'MEMBER')
     WHERE a.datname = current_database() AND n.name IS NOT NULL
     GROUP BY 1, 2 ORDER BY 1, 2";

const WAITING: &str = "\
    SELECT s.name, w.target, w.messages, extract(epoch FROM w.oldest_age)::float8
      FROM tpro.service_schemas s CROSS JOIN LATERAL tpro.waiting(s.name) w
     ORDER BY s.name, w.messages DESC, w.target";

/// The services as they are now.
pub async fn look(session: &Session) -> Result<Vec<Service>, Problem> {
    let mut services: Vec<Service> = Vec::new();
    let mut leaders: Vec<Option<i32>> = Vec::new();
    for row in session.query(SERVICES, &[]).await? {
        leaders.push(row.get(1));
        services.push(Service {
            name: row.get(0),
            unsettled: 0,
            oldest_age_seconds: None,
            leader: row.get::<_, Option<i32>>(1).map(|pid| Leader { pid, copy: None }),
            asleep: row.get(2),
            copies: Vec::new(),
            waiting: Vec::new(),
        });
    }
    for row in session.query(COPIES, &[]).await? {
        let (name, copy, pids): (&str, i32, Vec<i32>) = (row.get(0), row.get(1), row.get(3));
        let Some(service) = services.iter_mut().find(|service| service.name == name) else { continue };
        service.copies.push(Copy { copy, sessions: row.get(2) });
        if let Some(leader) = service.leader.as_mut().filter(|leader| pids.contains(&leader.pid)) {
            leader.copy = Some(copy);
        }
    }
    for row in session.query(WAITING, &[]).await? {
        let name: &str = row.get(0);
        let Some(service) = services.iter_mut().find(|service| service.name == name) else { continue };
        let waiting = Waiting { target: row.get(1), messages: row.get(2), oldest_age_seconds: row.get(3) };
        service.unsettled += waiting.messages;
        let oldest = service.oldest_age_seconds.unwrap_or(waiting.oldest_age_seconds);
        service.oldest_age_seconds = Some(oldest.max(waiting.oldest_age_seconds));
        service.waiting.push(waiting);
    }
    Ok(services)
}
