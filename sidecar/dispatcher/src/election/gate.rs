//! The gate before everything else: a copy on a clone takes no requests.
//!
//! A clone of the database believes to be the original. Its sidecar would join the queue group and
//! do in the clone what was asked of the original. So a copy that starts asks first whether the
//! source is led from another server with the better right ([`Claim`]). Where its own server has a
//! leader there is nothing to ask: that one has asked, and goes on asking.
//!
//! **A refusal stays.** While the original's server restarts nobody objects, and a clone that asked
//! again just then would lead, and refuse the original when it is back. A copy that was refused for
//! a while is refused until its own server is another one (it has restarted), or the database is
//! adopted, which gives it an identity of its own. For a while, since a leader that stood still may
//! answer once more for a server that it has lost.

use std::time::Duration;

use tokio::time::Instant;
use tpro_runtime::{
    backoff::jittered,
    db::{self, DbError, plain},
};
use uuid::Uuid;

use super::{
    claim::{Claim, ClaimError, Stance},
    identity::Server,
};
use crate::Context;

/// The name of the readiness check.
pub(crate) const CHECK: &str = "dispatcher";
/// Between two questions.
const PAUSE: Duration = Duration::from_secs(1);
/// The questions that it asks before it opens: an answer may be late once.
const QUESTIONS: u32 = 2;
/// A copy that was refused for so long is refused for good. A leader whose session is gone
/// without a word notices by its next heartbeat (5 s) and the silence after it (10 s).
pub(crate) const STAYS_AFTER: Duration = Duration::from_secs(20);

/// The reasons why the gate is closed for now.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error(transparent)]
    Session(#[from] DbError),
    #[error("gate.look failed: {}", plain(.0))]
    Look(#[from] tokio_postgres::Error),
    #[error(transparent)]
    Claim(#[from] ClaimError),
    #[error("NATS is not connected, so that nobody could object")]
    Unheard,
    #[error("the database was adopted as instance {0}")]
    Renamed(Uuid),
}

/// A refusal so far: of which server, why, and since when.
struct Refusal {
    server: Server,
    why: String,
    since: Instant,
}

/// Waits until this copy may take part. False when the process is told to stop, or to begin again,
/// meanwhile.
pub async fn wait(app: &Context) -> bool {
    let mut refusal: Option<Refusal> = None;
    loop {
        let passed = tokio::select! {
            () = app.stop.soft.cancelled() => return false,
            passed = pass(app, &mut refusal) => passed,
        };
        match passed {
            Ok(()) => {
                app.health.ok(CHECK);
                return true;
            }
            Err(Closed::Renamed(instance)) => {
                app.stop.begin_anew(Closed::Renamed(instance).to_string());
                return false;
            }
            Err(closed) => app.health.fail(CHECK, closed.to_string()),
        }
        tokio::select! {
            () = app.stop.soft.cancelled() => return false,
            () = tokio::time::sleep(jittered(PAUSE)) => {}
        }
    }
}

async fn pass(app: &Context, refusal: &mut Option<Refusal>) -> Result<(), Closed> {
    let client = db::session(&app.servers, "gate").await?.client;
    let look = "/* gate.look */ SELECT tpro.instance(), EXISTS (SELECT FROM tpro.locks l \
        WHERE l.lock = 'leader' AND l.schema_oid = $1::text::regnamespace)";
    let row = client.query_one(look, &[&app.config.service.schema()]).await?;
    let (instance, led): (Uuid, bool) = (row.try_get(0)?, row.try_get(1)?);
    if instance != app.source.instance {
        return Err(Closed::Renamed(instance));
    }
    if led {
        return Ok(());
    }
    let server = Server::of(&client).await?;
    let before = refusal.take().filter(|refusal| refusal.server.is_same(&server));
    if let Some(refused) = before.as_ref().filter(|refused| refused.since.elapsed() > STAYS_AFTER) {
        let why = refused.why.clone();
        *refusal = before;
        return Err(ClaimError::Refused(why).into());
    }
    if !app.is_connected() {
        *refusal = before;
        return Err(Closed::Unheard);
    }
    for _ in 0..QUESTIONS {
        match Claim::make(app, &client, Stance::Asks).await {
            Ok(_) => {}
            Err(led @ ClaimError::Led { .. }) => {
                let since = before.map_or_else(Instant::now, |before| before.since);
                *refusal = Some(Refusal { server, why: led.to_string(), since });
                return Err(led.into());
            }
            Err(other) => return Err(other.into()),
        }
    }
    Ok(())
}
