//! A copy that does not lead: tries to, and watches over the one that does.

use std::time::{Duration, Instant};

use tokio_postgres::Client;
use tpro_runtime::{
    backoff::{Backoff, jittered},
    db::{self, DbError, Session, plain, standby},
};
use uuid::Uuid;

use super::{
    Context,
    driver::{
        begin::begin,
        fall::Fall,
        leader::{CHECK as REPLIES, GO_CHECK},
        outbox::Outbox,
    },
    election::{
        claim::{Claim, ClaimError, Stance},
        gate::CHECK,
        refusal::Rivalry,
        watch::Watch,
    },
};

/// A session that lasted so long was a good one: what ended it is no reason to wait before the
/// next.
const SETTLED_IN: Duration = Duration::from_millis(500);
/// The time for a follower's short statement after which its session is taken for dead.
const PATIENCE: Duration = Duration::from_secs(5);

/// The reasons why a follower's session ended.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Session(#[from] DbError),
    #[error("{name} failed: {}", plain(source))]
    Run { name: &'static str, source: tokio_postgres::Error },
    #[error("{name} does not answer for {} s", PATIENCE.as_secs())]
    Silent { name: &'static str },
    #[error(transparent)]
    Claim(#[from] ClaimError),
    #[error("lost the leadership: {0}")]
    Fall(#[from] Fall),
    #[error("tpro.drop_service has taken it away")]
    Dropped,
    #[error("the schema {was} is called {now}: ALTER SCHEMA \"{now}\" RENAME TO {was}")]
    RenamedSchema { was: String, now: String },
    #[error("the database was adopted: it is instance {now}, and was {before}")]
    Renamed { before: Uuid, now: Uuid },
}

impl Trouble {
    /// True if the source is led from another server, which has the better right.
    fn is_rival(&self) -> bool {
        matches!(self, Self::Claim(ClaimError::Led { .. }) | Self::Fall(Fall::Claim(ClaimError::Led { .. })))
    }
}

/// Follows and leads, by turns, until the process is told to stop.
pub(super) async fn run(app: Context) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(3));
    // The schema, no matter what it is called.
    let mut schema = None;
    let mut rivalry = Rivalry::default();
    loop {
        let begun = Instant::now();
        let trouble = match follow(&app, &mut schema).await {
            Ok(()) => return,
            Err(trouble) => trouble,
        };
        if let Trouble::Renamed { .. } = trouble {
            // Reply subjects, claims and the source in every message are made of the old one.
            return app.stop.begin_anew(trouble.to_string());
        }
        if let Trouble::Dropped = trouble {
            // No retry brings it back.
            return app.stop.fatal(format!("the schema {} is gone: {trouble}", app.config.service.schema()));
        }
        if rivalry.ended(trouble.is_rival(), begun, Instant::now()) {
            return app.stop.begin_anew(trouble.to_string());
        }
        app.health.fail(CHECK, trouble.to_string());
        if begun.elapsed() > SETTLED_IN {
            backoff.reset();
        }
        tokio::select! {
            () = app.stop.soft.cancelled() => return,
            () = tokio::time::sleep(backoff.next_pause()) => {}
        }
    }
}

/// Follows on one session, and leads on it when it gets the lock. `Ok` when told to stop.
async fn follow(app: &Context, schema: &mut Option<u32>) -> Result<(), Trouble> {
    // A follower has nothing in hand: nobody needs the answer to what it asks when it stops.
    let session = tokio::select! {
        () = app.stop.soft.cancelled() => return Ok(()),
        session = wait_for_the_lead(app, schema) => session?,
    };
    lead(app, session).await
}

/// Follows until this session has the lock.
async fn wait_for_the_lead(app: &Context, schema: &mut Option<u32>) -> Result<Session, Trouble> {
    let session = db::session(&app.servers, "leader").await?;
    look_for_schema(app, &session.client, schema).await?;
    let mut watch = Watch::new(Instant::now());
    loop {
        // A copy that cannot send leaves the lead to one that can.
        if app.is_connected() {
            match ask_to_lead(app, &session.client).await? {
                Some(true) => return Ok(session),
                Some(false) if watch.is_in_vain() => app.health.fail(CHECK, FROZEN),
                Some(false) => app.health.ok(CHECK),
                None => app.health.fail(CHECK, NOT_ADOPTED),
            }
        }
        if watch.looks(Instant::now()) {
            watch.looked(depose(app, &session.client).await?);
        }
        let pause = watch.pause(app.config.dispatch.lead_interval);
        // Jittered, so that eight copies do not ask in step.
        tokio::time::sleep(jittered(pause)).await;
    }
}

/// A backend that is stopped (SIGSTOP, a debugger) cannot be terminated before it goes on.
const FROZEN: &str =
    "the leader's backend is frozen and does not end when it is terminated; it must go on or be killed";

/// The need of a database that was copied or restored before anything is sent from it.
const NOT_ADOPTED: &str = "this database is a copy or was restored, and what it holds may have been sent by the original; \
    if it is to send from now on: SELECT tpro.adopt()";

/// Looks if the service is still there. It is asked of each new session: a drop ends the one before
/// with an error, and it may be any of many (the tables are gone, the schema is, and so is the role
/// with the right to ask).
async fn look_for_schema(app: &Context, client: &Client, known: &mut Option<u32>) -> Result<(), Trouble> {
    let sql = "/* leader.schema */ SELECT to_regnamespace($1)::oid, \
        (SELECT n.nspname::text FROM pg_namespace n WHERE n.oid = $2)";
    let was = app.config.service.schema();
    let row = ask("leader.schema", client.query_one(sql, &[&was, &*known])).await?;
    let read = |source| Trouble::Run { name: "leader.schema", source };
    match (row.try_get(0).map_err(read)?, row.try_get(1).map_err(read)?) {
        (Some(oid), _) => *known = Some(oid),
        // It is there, under a name that somebody has given to it, and may take away again.
        (None, Some(now)) => return Err(Trouble::RenamedSchema { was, now }),
        (None, None) => return Err(Trouble::Dropped),
    }
    Ok(())
}

/// True if this session leads now; none when the database is not the one that was adopted.
async fn ask_to_lead(app: &Context, client: &Client) -> Result<Option<bool>, Trouble> {
    // CASE, since the lock must not be taken in a database that is not adopted, nor as whom it was
    // before it was.
    let sql = "/* leader.lead */ SELECT CASE WHEN tpro.adopted() AND i.now = $2 THEN tpro.lead($1) END, \
        CASE WHEN tpro.adopted() AND i.now <> $2 THEN i.now END FROM (SELECT tpro.instance() AS now) AS i";
    let before = app.source.instance;
    let row = ask("leader.lead", client.query_one(sql, &[&app.config.service.as_str(), &before])).await?;
    let read = |source| Trouble::Run { name: "leader.lead", source };
    if let Some(now) = row.try_get(1).map_err(read)? {
        return Err(Trouble::Renamed { before, now });
    }
    row.try_get(0).map_err(read)
}

/// Terminates the session of a leader that is frozen, and says if one waits for a synchronous
/// standby.
async fn depose(app: &Context, client: &Client) -> Result<bool, Trouble> {
    let sql = "/* leader.depose */ SELECT tpro.depose($1), EXISTS (SELECT FROM tpro.locks l \
        JOIN pg_stat_activity a ON a.pid = l.pid \
        WHERE l.lock = 'leader' AND l.schema_oid = to_regnamespace($2) \
        AND a.wait_event = 'SyncRep' AND a.state_change < clock_timestamp() - interval '5 seconds')";
    let service = &app.config.service;
    let row = ask("leader.depose", client.query_one(sql, &[&service.as_str(), &service.schema()])).await?;
    let read = |source| Trouble::Run { name: "leader.depose", source };
    let (deposed, waits): (bool, bool) = (row.try_get(0).map_err(read)?, row.try_get(1).map_err(read)?);
    match waits {
        true => app.health.fail(standby::CHECK, standby::WAITS),
        false => app.health.ok(standby::CHECK),
    }
    if deposed {
        app.counts.deposed.inc();
        tracing::warn!("the leader of this service was frozen; its session was terminated");
    }
    Ok(deposed)
}

async fn ask<T>(
    name: &'static str,
    statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(PATIENCE, statement).await {
        Ok(result) => result.map_err(|source| Trouble::Run { name, source }),
        Err(_) => Err(Trouble::Silent { name }),
    }
}

/// Says so when what a leader writes at its beginning waits for a synchronous standby. It does not
/// end.
async fn watch_standby(app: &Context, pid: i32) {
    loop {
        tokio::time::sleep(PATIENCE).await;
        if standby::waits(&app.servers, pid).await {
            app.health.fail(standby::CHECK, standby::WAITS);
        }
    }
}

async fn lead(app: &Context, session: Session) -> Result<(), Trouble> {
    let Session { client, messages, missed, pid } = session;
    let beginning = async {
        let claim = Claim::make(app, &client, Stance::Leads).await?;
        let outbox = Outbox::new(client, &app.config.service).await.map_err(Fall::from)?;
        Ok::<_, Trouble>(begin(app, outbox, pid, messages, missed, claim).await?)
    };
    let leader = tokio::select! {
        // Nothing is in hand yet: the next leader begins as this one did.
        () = app.stop.soft.cancelled() => return Ok(()),
        leader = beginning => leader?,
        () = watch_standby(app, pid) => return Ok(()),
    };
    app.health.ok(standby::CHECK);
    tracing::info!(db.pid = pid, "leads");
    app.health.ok(CHECK);
    let counts = &app.counts;
    counts.takeovers.inc();
    counts.leading.set(1);
    let led = leader.lead().await;
    // The present leader notices this by itself.
    app.health.ok(REPLIES);
    app.health.ok(GO_CHECK);
    // The messages that it held are another's now.
    for gauge in [
        &counts.leading,
        &counts.asleep,
        &counts.waiting,
        &counts.unsettled,
        &counts.floor,
        &counts.in_flight,
    ] {
        gauge.set(0);
    }
    if led.is_ok() {
        tracing::info!(db.pid = pid, "leads no more: it was told to stop");
    }
    led.map_err(Trouble::from)
}
