//! The task that writes the inbox: one per copy, with a session of its own.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use tpro_runtime::{
    backoff::Backoff,
    db::{Session, plain, session, standby},
};

use super::{
    batch::{Batch, Lost},
    command::Command,
    sql::{Prepared, Texts},
};
use crate::host::Host;

/// The name of the readiness check.
const CHECK: &str = "inbox";
/// Commands that are written together.
const MOST: usize = 512;
/// The pause before an idle session is asked whether it is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The longest time for a batch: after it the session counts as lost.
const LIMIT: Duration = Duration::from_secs(10);
/// A row that another copy is about to commit is waited for only briefly. No plan may scan a table:
/// a plan is made once, perhaps while a partition is empty, and kept while it fills.
const SETTINGS: &str = "SET lock_timeout = '50ms'; SET enable_seqscan = off";

/// The session and what is prepared in it.
struct Open {
    session: Session,
    sql: Prepared,
    /// This session holds the lock that says this copy lives. It may not at first, when an
    /// earlier session of ours has not ended for the server yet.
    present: bool,
}

/// Writes until the last sender is gone, or until `over`.
pub(super) async fn write(app: Host, mut commands: mpsc::Receiver<Command>, over: CancellationToken) {
    let texts = Texts::of(&app.source.service.schema());
    let mut batch = Batch::default();
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
    loop {
        let opened = tokio::select! {
            opened = over.run_until_cancelled(timeout(LIMIT, open(&app, &texts))) => opened,
            () = closed(&mut batch, &mut commands) => return,
        };
        let reason = match opened {
            None => return,
            Some(Err(_)) => "the database does not answer".to_owned(),
            Some(Ok(Err(reason))) => reason,
            Some(Ok(Ok(open))) => {
                app.health.ok(CHECK);
                backoff.reset();
                match over.run_until_cancelled(serve(&app, open, &mut batch, &mut commands)).await {
                    None | Some(None) => return,
                    Some(Some(reason)) => reason,
                }
            }
        };
        app.health.fail(CHECK, reason);
        tokio::select! {
            slept = over.run_until_cancelled(tokio::time::sleep(backoff.next_pause())) => {
                if slept.is_none() {
                    return;
                }
            }
            () = closed(&mut batch, &mut commands) => return,
        }
    }
}

/// Collects while there is no session; returns when nothing is to be written and nothing more will
/// come, for which no session is needed.
async fn closed(batch: &mut Batch, commands: &mut mpsc::Receiver<Command>) {
    let mut collected = Vec::new();
    while commands.recv_many(&mut collected, MOST).await > 0 {
        collected.drain(..).for_each(|command| batch.add(command));
    }
    if batch.len() > 0 {
        std::future::pending().await
    }
}

async fn open(app: &Host, texts: &Texts) -> Result<Open, String> {
    let session = session(&app.servers, CHECK).await.map_err(|error| error.to_string())?;
    let mut open = async {
        session.client.batch_execute(SETTINGS).await?;
        let sql = Prepared::new(&session.client, texts).await?;
        Ok(Open { session, sql, present: false })
    }
    .await
    .map_err(|error| plain(&error))?;
    open.appear(app).await.map_err(|error| plain(&error))?;
    Ok(open)
}

impl Open {
    /// Says that this copy lives, for as long as the session does; also the question whether the
    /// session is there.
    async fn appear(&mut self, app: &Host) -> Result<(), tokio_postgres::Error> {
        let client = &self.session.client;
        if self.present {
            return client.batch_execute("SELECT 1").await;
        }
        let row = client
            .query_one("SELECT tpro.present($1, $2)", &[&app.source.service.as_str(), &app.copy_key])
            .await?;
        self.present = row.get(0);
        Ok(())
    }
}

/// Writes what is collected, or says why the session is lost. One that waits for a synchronous
/// standby is not.
async fn write_batch(
    app: &Host,
    client: &Client,
    sql: &Prepared,
    pid: i32,
    batch: &mut Batch,
) -> Result<(), String> {
    let mut writing = std::pin::pin!(batch.write(app, client, sql));
    let mut waits = false;
    let written = loop {
        match timeout(LIMIT, &mut writing).await {
            Ok(written) => break written,
            Err(_) if standby::waits(&app.servers, pid).await => {
                waits = true;
                app.health.fail(CHECK, standby::WAITS);
            }
            Err(_) => return Err(format!("the database did not answer within {} s", LIMIT.as_secs())),
        }
    };
    written.map_err(|Lost(error)| plain(&error))?;
    if waits {
        app.health.ok(CHECK);
    }
    Ok(())
}

/// Writes batch after batch. `None` when there is nothing more to come, or why the session is lost.
async fn serve(
    app: &Host,
    mut open: Open,
    batch: &mut Batch,
    commands: &mut mpsc::Receiver<Command>,
) -> Option<String> {
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut collected = Vec::with_capacity(MOST);
    loop {
        // The rest of a lost session is written first.
        if batch.len() > 0 {
            app.counts.inbox_batch.observe(batch.len() as f64);
            let Open { session: Session { client, pid, .. }, sql, .. } = &open;
            if let Err(reason) = write_batch(app, client, sql, *pid, batch).await {
                return Some(reason);
            }
        }
        tokio::select! {
            biased;
            count = commands.recv_many(&mut collected, MOST) => {
                if count == 0 {
                    return None;
                }
                collected.drain(..).for_each(|command| batch.add(command));
            }
            message = open.session.messages.next() => {
                if message.is_none() {
                    return Some("the connection was lost".to_owned());
                }
            }
            _ = heartbeat.tick() => match timeout(LIMIT, open.appear(app)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Some(plain(&error)),
                Err(_) => return Some(format!("the database did not answer within {} s", LIMIT.as_secs())),
            }
        }
    }
}
