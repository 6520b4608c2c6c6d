//! A database in which rounds of latency and throughput are made, small or grown.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::block_in_place;
use tokio_postgres::Client;
use tpro_testkit::eventually::eventually_within;
use tpro_testkit::{Context as _, Database, Outcome, SidecarProcess};

use super::Much;
use crate::latency::{Arrival, Way};
use crate::mode::Mode;
use crate::stand::Stand;
use crate::table::median;

/// Messages of a round, one at a time.
pub const SINGLE: usize = 300;
/// Messages of a round that wait when the sidecar starts.
pub const MANY: i64 = 100_000;
/// Rows that are made in one statement; a partition has as many.
const BATCH: u64 = 1_000_000;
/// A round takes seconds.
const LIMIT: Duration = Duration::from_secs(300);

const FILL: &str = r#"
INSERT INTO main_service.mq_publish (service_name, entity, method_name, timeout, body)
SELECT $2::text, 'bench', 'echo', 86400, jsonb_build_object('ip', '172.19.0.8', 'login', 'login' || n, 'password', 'phnd26w')
  FROM generate_series(1, $1::bigint) AS n"#;
const SETTLE: &str = "
INSERT INTO main_service.mq_reply (mq_id, uid, status, result, attempts, sent_at, responder)
SELECT id, uid, 'ok', body, 1, clock_timestamp(), 'echo/0/1' FROM main_service.mq_publish WHERE id > $1";
const PARTITIONS: &str = "
SELECT count(*) FROM tpro.make_partitions('main', 'mq_publish', 1000000);
SELECT count(*) FROM tpro.make_partitions('main', 'mq_reply', 1000000)";

/// Leaves behind what a leader would that has seen all of it settled.
const LED: &str = "
UPDATE main_service.mq_cursor SET snapshot = pg_current_snapshot(), pending = '{}', clean = true, moved_at = clock_timestamp();
UPDATE main_service.mq_backlog SET unsettled = 0, upto = (SELECT last_value FROM main_service.mq_publish_id_seq)";

/// The database, with a session of its superuser.
pub struct Place {
    database: Database,
    admin: Client,
}

/// The figures of a round.
pub struct Round {
    /// The median from a commit to its reply, in milliseconds.
    pub ms: f64,
    /// Messages a second.
    pub speed: f64,
}

/// The things that have to last as long as the database is grown.
pub struct Held {
    _session: Option<Client>,
    _sidecars: Vec<Arc<SidecarProcess>>,
}

impl Place {
    /// A database with nothing in it.
    pub async fn new(stand: &Stand) -> Outcome<Self> {
        let database = stand.database().await?;
        let admin = database.connect().await?;
        Ok(Self { database, admin })
    }

    /// Puts much into it.
    pub async fn grow(&self, stand: &Stand, much: Much) -> Outcome<Held> {
        let mut held = Held { _session: None, _sidecars: Vec::new() };
        match much {
            Much::Settled(rows) => self.settle(rows).await?,
            Much::Waiting(rows) => self.fill(i64::try_from(rows)?, "absent").await?,
            Much::Snapshot => {
                let session = self.database.connect().await?;
                session
                    .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")
                    .await?;
                held._session = Some(session);
            }
            Much::Services { all, running } => {
                // Two of them are there, and run in each round.
                for number in 2..all {
                    let service = format!("other{number}");
                    self.database.create_service(&service).await?;
                    if number < running {
                        held._sidecars.push(stand.echo(&self.database, &service)?.start().await?);
                    }
                }
            }
        }
        Ok(held)
    }

    async fn fill(&self, rows: i64, service: &str) -> Outcome {
        let main = self.database.connect_as("main").await?;
        main.execute(FILL, &[&rows, &service]).await.context("filling the outbox")?;
        self.admin.batch_execute("VACUUM ANALYZE main_service.mq_publish").await?;
        Ok(())
    }

    async fn settle(&self, rows: u64) -> Outcome {
        // Nobody leads, and so nobody notes meanwhile that they are settled.
        self.admin.batch_execute("SET tpro.max_backlog = 0").await?;
        for _ in 0..rows.div_ceil(BATCH) {
            let before = self.last_id().await?;
            self.admin.batch_execute(PARTITIONS).await.context("making partitions")?;
            let batch = i64::try_from(rows.min(BATCH))?;
            self.admin.execute(FILL, &[&batch, &"echo"]).await.context("filling the outbox")?;
            self.admin.execute(SETTLE, &[&before]).await.context("settling")?;
        }
        self.admin.batch_execute(PARTITIONS).await.context("making partitions")?;
        self.admin.batch_execute(LED).await.context("moving the cursor")?;
        self.admin.batch_execute("VACUUM ANALYZE main_service.mq_publish, main_service.mq_reply").await?;
        Ok(())
    }

    async fn last_id(&self) -> Outcome<i64> {
        let row =
            self.admin.query_one("SELECT coalesce(max(id), 0) FROM main_service.mq_publish", &[]).await?;
        Ok(row.get(0))
    }

    /// Messages one at a time, then many that wait when the sidecar starts.
    pub async fn round(&self, stand: &Stand) -> Outcome<Round> {
        let echo = stand.sidecar(&self.database, "echo")?.start().await?;
        let main = stand.sidecar(&self.database, "main")?.start().await?;
        let ms = block_in_place(|| {
            let way = Way::of_mode(&self.database, Mode::Stateless)?;
            way.round(Arrival::AT_ONCE, SINGLE / 3, 0)?;
            Outcome::Ok(median(&way.round(Arrival::AT_ONCE, SINGLE, 0)?))
        })?;
        main.stop().await?;
        let before = self.last_id().await?;
        self.fill(MANY, "echo").await?;
        let main = stand.sidecar(&self.database, "main")?.start().await?;
        let seconds = self.settled_in(before).await?;
        main.stop().await?;
        echo.stop().await?;
        Ok(Round { ms, speed: MANY as f64 / seconds })
    }

    /// The seconds from the first send to the last reply of the rows behind this id.
    async fn settled_in(&self, before: i64) -> Outcome<f64> {
        const SETTLED: &str = "SELECT count(*), extract(epoch FROM max(replied_at) - min(sent_at))::float8
                                 FROM main_service.mq_reply WHERE mq_id > $1 AND status = 'ok'";
        const LAST: &str =
            "SELECT FROM main_service.mq_reply WHERE mq_id = (SELECT max(id) FROM main_service.mq_publish)";
        eventually_within(LIMIT, "every row is settled", async || {
            // Counting is dear, and the last row is settled among the last.
            tokio::time::sleep(Duration::from_millis(100)).await;
            if self.admin.query_opt(LAST, &[]).await?.is_none() {
                return Ok(None);
            }
            let row = self.admin.query_one(SETTLED, &[&before]).await?;
            Ok((row.get::<_, i64>(0) >= MANY).then(|| row.get(1)))
        })
        .await
    }

    /// The time from the start of the asking sidecar to its first send, while so many rows wait.
    pub async fn first_send(&self, stand: &Stand, rows: u64) -> Outcome<Duration> {
        const FIRST: &str = "SELECT extract(epoch FROM min(sent_at))::float8 FROM main_service.mq_reply";
        self.fill(i64::try_from(rows)?, "echo").await?;
        let echo = stand.sidecar(&self.database, "echo")?.start().await?;
        let began = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let main = stand.sidecar(&self.database, "main")?.start().await?;
        let first = eventually_within(LIMIT, "a row is settled", async || {
            Ok(self.admin.query_one(FIRST, &[]).await?.get::<_, Option<f64>>(0))
        })
        .await?;
        main.stop().await?;
        echo.stop().await?;
        Ok(Duration::from_secs_f64((first - began.as_secs_f64()).max(0.0)))
    }
}
