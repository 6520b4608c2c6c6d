//! Sessions of the real server.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex},
};

use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client, NoTls};
use tpro_simulation::postgres::Statement;
use tpro_testkit::{Context, Database, Outcome, eventually};

use super::{
    answer::{self, Result},
    sql,
    text::Translation,
};

/// A session of the real server.
pub struct Session {
    pub client: Arc<Client>,
    pub pid: i32,
    notes: Arc<Mutex<Vec<String>>>,
    pending: Option<JoinHandle<Result>>,
}

impl Session {
    /// Opens a session that has the product's statements prepared.
    pub async fn open(database: &Database) -> Outcome<Self> {
        let (client, mut connection) = tokio_postgres::connect(&database.url(), NoTls).await?;
        let notes = Arc::<Mutex<Vec<String>>>::default();
        let heard = notes.clone();
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notification(note) = message {
                    let line = format!("{} {}", note.channel(), note.payload());
                    heard.lock().expect("nobody panics with it").push(line);
                }
            }
        });
        client.batch_execute(&sql::prepare()).await.context("preparing the statements")?;
        let pid = client.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
        Ok(Self { client: Arc::new(client), pid, notes, pending: None })
    }

    /// Sends a statement.
    pub fn send(&mut self, statement: &Statement, translation: &Translation) {
        let (client, translation) = (self.client.clone(), translation.clone());
        let statement = statement.clone();
        self.pending = Some(tokio::spawn(async move {
            let sql = sql::write(&statement, &translation);
            match client.simple_query(&sql).await {
                Ok(messages) => Ok(answer::of_postgres(&statement, &messages, &translation)),
                Err(error) => {
                    // The error is sent before the transaction is rolled back, the end of this one after it.
                    let _ = client.simple_query("").await;
                    Err(error.code().map_or("08006", |code| code.code()).to_owned())
                }
            }
        }));
    }

    /// The result of the statement that was sent.
    pub async fn result(&mut self) -> Outcome<Result> {
        let pending = self.pending.take().context("nothing was sent")?;
        let limit = std::time::Duration::from_secs(60);
        tokio::time::timeout(limit, pending)
            .await
            .context("the real server does not answer, and should not wait")?
            .context("the statement was given up")
    }

    /// Waits until the statement that was sent waits for another session.
    pub async fn waits(&self, admin: &Client) -> Outcome {
        let sql = "SELECT cardinality(pg_blocking_pids($1)) > 0";
        let pending = self.pending.as_ref();
        eventually("the real server waits, too", async || {
            assert!(pending.is_some_and(|pending| !pending.is_finished()), "the real server does not wait");
            Ok(admin.query_one(sql, &[&self.pid]).await?.get(0))
        })
        .await
    }

    /// The notifications that have come.
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.notes.lock().expect("nobody panics with it"))
    }
}

/// Waits until a backend is gone.
pub async fn is_gone(admin: &Client, pid: i32) -> Outcome {
    let sql = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)";
    eventually("the backend is gone", async || Ok(admin.query_one(sql, &[&pid]).await?.get(0))).await
}
