//! The questions to the database before anything starts: if it is there, if it is the primary, and
//! if tpro and the service are in it.

use std::time::{Duration, SystemTime};

use tokio_postgres::Client;
use uuid::Uuid;

use super::{DbError, Servers, plain, pooler::are_own, session};
use crate::{backoff::Backoff, config::Config, health::Health, keys::Keys, shutdown::Stop};

/// The name of the readiness check.
pub const CHECK: &str = "database";
/// The oldest release of the extension with all that this program calls.
const NEEDS: &str = "0.1.1";

/// The facts that the database tells about itself.
#[derive(Clone)]
pub struct Facts {
    /// Its random uuid, from `CREATE EXTENSION`.
    pub instance: Uuid,
    /// The keys that only copies of the service have.
    pub keys: Keys,
    /// `tpro.max_body`: bytes of the largest body it lets through.
    pub max_body: usize,
    /// Its clock.
    pub now: SystemTime,
}

/// The reason why the database cannot be worked with yet.
enum Lack {
    Database(DbError),
    /// Something has to be made there first. The text says what and how.
    Remedy(String),
}

impl From<DbError> for Lack {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

impl From<tokio_postgres::Error> for Lack {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(DbError::Unreachable(error))
    }
}

/// Waits until the database can be worked with. `None` when the process is told to stop meanwhile.
///
/// A refused login is an error, since only a person can mend it. Everything else is tried again:
/// the server may be starting, and a service may well be started before its schema is made.
pub async fn prepare(
    config: &Config,
    servers: &Servers,
    health: &Health,
    stop: &Stop,
) -> Result<Option<Facts>, DbError> {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
    loop {
        let lack = tokio::select! {
            () = stop.soft.cancelled() => return Ok(None),
            asked = ask(config, servers) => match asked {
                Ok(facts) => {
                    health.ok(CHECK);
                    return Ok(Some(facts));
                }
                Err(lack) => lack,
            },
        };
        match lack {
            Lack::Database(refused @ DbError::Refused(_)) => return Err(refused),
            Lack::Database(other) => health.fail(CHECK, other.to_string()),
            Lack::Remedy(text) => health.fail(CHECK, text),
        }
        tokio::select! {
            () = stop.soft.cancelled() => return Ok(None),
            () = tokio::time::sleep(backoff.next_pause()) => {}
        }
    }
}

async fn ask(config: &Config, servers: &Servers) -> Result<Facts, Lack> {
    let session = session(servers, "start").await?;
    let client = &session.client;
    let other = super::session(servers, "start").await?.client;
    let asking = async {
        if !are_own(client, &other).await? {
            return Err(DbError::Pooled.into());
        }
        drop(other);
        look_for_extension(client).await?;
        look_for_service(client, config).await?;
        look_for_upgrade(client, config).await?;
        look_for_adoption(client).await?;
        facts(client, config).await
    };
    let limit = Duration::from_secs(10);
    tokio::time::timeout(limit, asking)
        .await
        .map_err(|_| DbError::Silent { what: "the first questions", seconds: limit.as_secs() })?
}

async fn look_for_extension(client: &Client) -> Result<(), Lack> {
    let sql = "SELECT extversion FROM pg_extension WHERE extname = 'pg_tpro'";
    let Some(row) = client.query_opt(sql, &[]).await? else {
        return Err(Lack::Remedy(
            "the extension is missing; as a superuser: CREATE EXTENSION pg_tpro".into(),
        ));
    };
    let installed: &str = row.get(0);
    let parts =
        |release: &str| release.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u64>>();
    if parts(installed) < parts(NEEDS) {
        return Err(Lack::Remedy(format!(
            "the extension is of an earlier release, {installed}, and this program needs {NEEDS}; as a superuser: \
             ALTER EXTENSION pg_tpro UPDATE, then CALL tpro.upgrade_services()"
        )));
    }
    Ok(())
}

/// The schema of a service, if tpro has made it, and the role of its sidecar. What is left of a
/// schema when the extension was dropped has no outbox.
const SCHEMA: &str = "\
    SELECT to_regnamespace($1) IS NOT NULL,
           coalesce(obj_description(to_regnamespace($1), 'pg_namespace') LIKE 'tpro: %', false)
               OR EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                           WHERE n.nspname = $1 AND c.relname = 'mq_publish' AND c.relkind = 'p'),
           to_regrole($2) IS NOT NULL, current_user::text";

async fn look_for_service(client: &Client, config: &Config) -> Result<(), Lack> {
    let (service, schema) = (config.service.as_str(), config.service.schema());
    let role = format!("{service}_sidecar");
    let row = client.query_one(SCHEMA, &[&schema, &role]).await?;
    let (has_schema, is_ours, has_role): (bool, bool, bool) = (row.get(0), row.get(1), row.get(2));
    let user: String = row.get(3);
    if !has_schema {
        return Err(Lack::Remedy(format!(
            "the schema {schema} is missing; as a superuser: SELECT tpro.create_service('{service}')"
        )));
    }
    if !is_ours {
        return Err(Lack::Remedy(format!(
            "the schema {schema} is there and was not made by tpro; if it is of the Go system: tpro migrate check {service} \
             (docs/migration.md), else rename it, and as a superuser: SELECT tpro.create_service('{service}')"
        )));
    }
    if !has_role {
        return Err(Lack::Remedy(format!(
            "the role {role} is missing, though the schema {schema} is there: a dump was restored without the roles of its \
             cluster (pg_dumpall --roles-only)"
        )));
    }
    let row = client.query_one("SELECT pg_has_role(current_user, $1::text, 'USAGE')", &[&role]).await?;
    if !row.get::<_, bool>(0) {
        return Err(Lack::Remedy(format!(
            "the login role has no rights; as a superuser: GRANT {role} TO \"{user}\""
        )));
    }
    Ok(())
}

/// The schema of a service stays that of the earlier release for a moment after the extension was
/// updated. A restored dump has that schema, too.
async fn look_for_upgrade(client: &Client, config: &Config) -> Result<(), Lack> {
    let (service, schema) = (config.service.as_str(), config.service.schema());
    let outdated = "SELECT o.what FROM tpro.outdated($1) o ORDER BY o.step, o.what LIMIT 1";
    match client.query_opt(outdated, &[&service]).await? {
        None => Ok(()),
        Some(row) => Err(Lack::Remedy(format!(
            "the schema {schema} is of an earlier release ({}); as a superuser: SELECT tpro.upgrade_service('{service}'), \
             until it returns nothing",
            row.get::<_, &str>(0)
        ))),
    }
}

/// A copied or restored database holds messages that the original may have sent, and would get the
/// original's requests. Before it is adopted it sends nothing and answers nothing.
async fn look_for_adoption(client: &Client) -> Result<(), Lack> {
    let row = client.query_one("SELECT tpro.adopted()", &[]).await?;
    if row.get(0) {
        return Ok(());
    }
    Err(Lack::Remedy(
        "this database is a copy or was restored, and what it holds may have been sent by the original; \
         if it is to send and to answer from now on: SELECT tpro.adopt()"
            .into(),
    ))
}

async fn facts(client: &Client, config: &Config) -> Result<Facts, Lack> {
    let instance = match client.query_one("SELECT tpro.instance()", &[]).await {
        Ok(row) => row.get(0),
        Err(error) => return Err(Lack::Remedy(format!("tpro.instance() fails: {}", plain(&error)))),
    };
    let keys = Keys::of(client, &config.service).await?;
    // By the function: it knows the unit that the setting is written with, also before the library
    // is loaded.
    let row = client.query_one("SELECT tpro.max_body(), clock_timestamp()", &[]).await?;
    let max_body = usize::try_from(row.get::<_, i32>(0)).unwrap_or_default();
    Ok(Facts { instance, keys, max_body, now: row.get(1) })
}
