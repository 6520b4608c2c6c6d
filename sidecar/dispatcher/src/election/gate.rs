//! The gate before everything else: a copy on a clone takes no requests.
//!
//! A clone of the database believes to be the original. Its sidecar would join the queue group and
//! do in the clone what was asked of the original. So a copy that starts asks first whether the
//! source is led from another server with the better right ([`Claim`]). Where its own server has a
//! leader there is nothing to ask: that one has asked, and goes on asking.
//!
//! A refusal that has lasted stays ([`Refusals`]).

use std::time::{Duration, Instant};

use tpro_runtime::{
    backoff::jittered,
    db::{self, DbError, plain},
};
use uuid::Uuid;

use super::{
    claim::{Claim, ClaimError, Stance},
    identity::Server,
    refusal::Refusals,
};
use crate::Context;

/// The name of the readiness check.
pub(crate) const CHECK: &str = "dispatcher";
/// Between two questions.
const PAUSE: Duration = Duration::from_secs(1);
/// The questions that it asks before it opens: an answer may be late once.
const QUESTIONS: u32 = 2;

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

/// Waits until this copy may take part. False when the process is told to stop, or to begin again,
/// meanwhile.
pub async fn wait(app: &Context) -> bool {
    let mut refusals = Refusals::default();
    loop {
        let passed = tokio::select! {
            () = app.stop.soft.cancelled() => return false,
            passed = pass(app, &mut refusals) => passed,
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

async fn pass(app: &Context, refusals: &mut Refusals) -> Result<(), Closed> {
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
    if let Some(why) = refusals.staying(&server, Instant::now()) {
        return Err(ClaimError::Refused(why.to_owned()).into());
    }
    if !app.is_connected() {
        return Err(Closed::Unheard);
    }
    for _ in 0..QUESTIONS {
        match Claim::make(app, &client, Stance::Asks).await {
            Ok(_) => {}
            Err(led @ ClaimError::Led { .. }) => {
                refusals.refuse(server, led.to_string(), Instant::now());
                return Err(led.into());
            }
            Err(other) => return Err(other.into()),
        }
    }
    Ok(())
}
