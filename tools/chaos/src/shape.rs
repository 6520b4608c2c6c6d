//! The shapes of publishing transactions.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::ledger::{End, Entry};
use crate::random::Random;
use crate::traffic::{Ask, COLUMNS, Mark};

type Result<T = ()> = std::result::Result<T, tokio_postgres::Error>;

/// The shapes and how often each comes.
const SHAPES: [(u64, Shape); 13] = [
    (14, Shape::Insert),
    (14, Shape::Publish),
    (8, Shape::Once),
    (6, Shape::Rows),
    (10, Shape::Statements),
    (8, Shape::Rollback),
    (10, Shape::Savepoints),
    (8, Shape::Exception),
    (6, Shape::Failed),
    (6, Shape::Copy),
    (4, Shape::Prepared),
    (3, Shape::Long),
    (4, Shape::Request),
];

/// The longest time of a transaction before its session is taken for dead; the longest wait for a
/// reply is in it.
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug)]
enum Shape {
    /// One INSERT, committed by itself.
    Insert,
    /// One `tpro.publish`, committed by itself.
    Publish,
    /// One `tpro.publish_once`, and the same again: at once, or in the next session if the end is
    /// not known.
    Once,
    /// One INSERT of many rows; sometimes very many.
    Rows,
    /// Several statements, COMMIT.
    Statements,
    /// Several statements, ROLLBACK.
    Rollback,
    /// Savepoints within each other, some released, some rolled back to.
    Savepoints,
    /// A PL/pgSQL block whose exception takes a row back.
    Exception,
    /// A statement fails; the COMMIT after it answers ROLLBACK.
    Failed,
    /// COPY.
    Copy,
    /// PREPARE TRANSACTION, then COMMIT PREPARED or ROLLBACK PREPARED.
    Prepared,
    /// A transaction that stays open for seconds.
    Long,
    /// `tpro.request`, which commits and waits.
    Request,
}

/// A publish under a key whose end its publisher does not know yet: its mark and its call.
pub type Doubt = Option<(Mark, String)>;

/// A transaction of a publisher while it goes on.
pub struct Draft<'a> {
    session: &'a Client,
    random: &'a mut Random,
    next: &'a mut Mark,
    doubt: &'a mut Doubt,
    entry: Entry,
    /// True if the end is no longer in our hands.
    sent: bool,
}

/// Runs a transaction of any shape, or repeats the one that is in doubt. Returns its end as far as
/// it is known, and if its session may be used again.
pub async fn transaction(
    session: &Client,
    random: &mut Random,
    next: &mut Mark,
    doubt: &mut Doubt,
) -> (Entry, bool) {
    let shape = if doubt.is_some() { Shape::Once } else { *random.weighted(&SHAPES) };
    let entry = Entry {
        xid: None,
        begun: SystemTime::now(),
        prepared: false,
        end: End::RolledBack,
        kept: Vec::new(),
        gone: Vec::new(),
    };
    let mut draft = Draft { session, random, next, doubt, entry, sent: false };
    let result = tokio::time::timeout(LIMIT, draft.run(shape)).await;
    let well = matches!(result, Ok(Ok(())));
    let end = match (well, draft.sent) {
        (true, _) => draft.entry.end,
        (false, true) => End::Unknown,
        // A transaction that was never told to commit does not.
        (false, false) => End::RolledBack,
    };
    (Entry { end, ..draft.entry }, well)
}

impl Draft<'_> {
    async fn run(&mut self, shape: Shape) -> Result {
        match shape {
            Shape::Insert => {
                let insert = self.insert(1);
                self.alone(&insert).await
            }
            Shape::Publish => {
                let publish = self.publish();
                self.alone(&publish).await
            }
            Shape::Once => self.once().await,
            Shape::Rows => {
                let rows = if self.random.one_in(40) { 500 } else { self.random.between(2, 30) };
                let insert = self.insert(rows);
                self.alone(&insert).await
            }
            Shape::Statements => {
                self.begin().await?;
                self.some().await?;
                self.commit().await
            }
            Shape::Rollback => {
                self.begin().await?;
                self.some().await?;
                self.session.batch_execute("ROLLBACK").await
            }
            Shape::Savepoints => self.savepoints().await,
            Shape::Exception => {
                let block = self.exception();
                if self.random.one_in(2) {
                    return self.alone(&block).await;
                }
                self.begin().await?;
                self.session.batch_execute(&block).await?;
                self.some().await?;
                self.commit().await
            }
            Shape::Failed => {
                self.begin().await?;
                self.some().await?;
                let refused = self.session.batch_execute("SELECT 1 / 0").await;
                // Only the division may fail; without a session there is nothing to go on with.
                if let Err(error) = refused
                    && error.as_db_error().is_none_or(|error| error.code().code() != "22012")
                {
                    return Err(error);
                }
                // "Succeeds", by rolling back.
                self.session.batch_execute("COMMIT").await
            }
            Shape::Copy => self.copy().await,
            Shape::Prepared => self.prepared().await,
            Shape::Long => {
                self.begin().await?;
                self.some().await?;
                tokio::time::sleep(self.random.millis(500, 6_000)).await;
                self.some().await?;
                self.commit().await
            }
            Shape::Request => {
                let (mark, ask) = self.ask();
                self.entry.kept.push(mark);
                // It also waits for the reply, if there is one to wait for.
                self.alone(&format!("CALL tpro.request({})", ask.request())).await
            }
        }
    }

    async fn begin(&mut self) -> Result {
        let answer = self.session.simple_query("BEGIN; SELECT pg_current_xact_id()::text").await?;
        self.entry.xid = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        Ok(())
    }

    async fn commit(&mut self) -> Result {
        self.alone("COMMIT").await
    }

    /// A statement that commits: from here on an error leaves the end unknown.
    async fn alone(&mut self, statement: &str) -> Result {
        self.sent = true;
        self.session.batch_execute(statement).await?;
        self.entry.end = End::Committed;
        Ok(())
    }

    /// A publish under a key. Its row is there once, however often it is called.
    async fn once(&mut self) -> Result {
        let (mark, call) = self.doubt.take().unwrap_or_else(|| {
            let (mark, ask) = self.ask();
            (mark, format!("SELECT * FROM tpro.publish_once('mark-{mark}', {})", ask.publish()))
        });
        self.entry.kept.push(mark);
        *self.doubt = Some((mark, call.clone()));
        self.alone(&call).await?;
        self.alone(&call).await?;
        *self.doubt = None;
        Ok(())
    }

    /// A few inserts and publishes, to be kept.
    async fn some(&mut self) -> Result {
        for _ in 0..self.random.between(1, 4) {
            let rows = self.random.between(1, 4);
            let statement = if self.random.one_in(3) { self.publish() } else { self.insert(rows) };
            self.session.batch_execute(&statement).await?;
        }
        Ok(())
    }

    async fn savepoints(&mut self) -> Result {
        self.begin().await?;
        // Open savepoints, each with the number of rows kept before it.
        let mut open: Vec<usize> = Vec::new();
        for _ in 0..self.random.between(3, 12) {
            let statement = match (self.random.between(1, 6), open.len()) {
                (1, depth) if depth < 4 => {
                    open.push(self.entry.kept.len());
                    format!("SAVEPOINT s{depth}")
                }
                (2, 1..) => {
                    open.pop();
                    format!("RELEASE s{}", open.len())
                }
                (3, 1..) => {
                    let from = open[open.len() - 1];
                    self.entry.gone.extend(self.entry.kept.drain(from..));
                    format!("ROLLBACK TO s{}", open.len() - 1)
                }
                _ => self.insert(1),
            };
            self.session.batch_execute(&statement).await?;
        }
        self.commit().await
    }

    /// A row that stays, one that its exception takes back, one after it.
    fn exception(&mut self) -> String {
        let before = self.insert(1);
        let (lost, within) = {
            let (mark, ask) = self.ask();
            (mark, format!("INSERT INTO main_service.mq_publish ({COLUMNS}) VALUES {}", ask.values()))
        };
        self.entry.gone.push(lost);
        let after = self.insert(1);
        format!(
            "DO $$ BEGIN {before}; BEGIN {within}; PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN {after}; END; END $$"
        )
    }

    async fn copy(&mut self) -> Result {
        let within = self.random.one_in(2);
        if within {
            self.begin().await?;
        }
        let mut lines = String::new();
        for _ in 0..self.random.between(1, 30) {
            let (mark, ask) = self.ask();
            self.entry.kept.push(mark);
            lines.push_str(&ask.copy_line());
        }
        self.sent = !within;
        let copy = format!("COPY main_service.mq_publish ({COLUMNS}) FROM STDIN");
        let sink = self.session.copy_in::<_, Bytes>(&copy).await?;
        let mut sink = std::pin::pin!(sink);
        sink.send(Bytes::from(lines)).await?;
        sink.finish().await?;
        if within {
            return self.commit().await;
        }
        self.entry.end = End::Committed;
        Ok(())
    }

    async fn prepared(&mut self) -> Result {
        self.begin().await?;
        self.some().await?;
        let name = format!("chaos-{}", self.next);
        // If its answer is lost it may be prepared; the oracle commits what it finds so.
        self.sent = true;
        self.session.batch_execute(&format!("PREPARE TRANSACTION '{name}'")).await?;
        self.entry.prepared = true;
        tokio::time::sleep(self.random.millis(0, 2_000)).await;
        if self.random.one_in(3) {
            self.session.batch_execute(&format!("ROLLBACK PREPARED '{name}'")).await?;
            return Ok(());
        }
        self.alone(&format!("COMMIT PREPARED '{name}'")).await
    }

    fn ask(&mut self) -> (Mark, Ask) {
        *self.next += 1;
        (*self.next, Ask::any(self.random, *self.next))
    }

    /// An INSERT of so many rows, to be kept.
    fn insert(&mut self, rows: u64) -> String {
        let mut statement = format!("INSERT INTO main_service.mq_publish ({COLUMNS}) VALUES ");
        for row in 0..rows {
            let (mark, ask) = self.ask();
            self.entry.kept.push(mark);
            let comma = if row == 0 { "" } else { ", " };
            // Writing to a string does not fail.
            let _ = write!(statement, "{comma}{}", ask.values());
        }
        statement
    }

    fn publish(&mut self) -> String {
        let (mark, ask) = self.ask();
        self.entry.kept.push(mark);
        format!("SELECT tpro.publish({})", ask.publish())
    }
}
