//! A database whose outbox is full of messages for one mode, to be moved again and again.

use std::time::Duration;

use tokio_postgres::Client;
use tpro_testkit::eventually::eventually_within;
use tpro_testkit::{Context as _, Database, Failure, Outcome, Process, SidecarProcess};

use crate::collector::Collector;
use crate::cpu;
use crate::floor::TABLES;
use crate::mode::Mode;
use crate::stand::Stand;

/// A round takes seconds.
const LIMIT: Duration = Duration::from_secs(300);

const FILL: &str = r#"
INSERT INTO main_service.mq_publish (protocol,space_name,service_name,entity,method_name,timeout,headers,body)
SELECT 'jsonrpc','tpro','echo','bench',$2::text,3600,'{}', jsonb_build_object('ip','172.19.0.8','login','login' || n,'password','phnd26w')
  FROM generate_series(1, $1::bigint) AS n"#;
const FILL_FLOOR: &str = "INSERT INTO floor.outbox SELECT id, body FROM main_service.mq_publish";

/// Makes all rows unread and unanswered, while no dispatcher and no responder runs.
const ANEW: &str = "
TRUNCATE main_service.mq_reply;
TRUNCATE echo_service.mq_receive, echo_service.mq_outcome;
DELETE FROM main_service.mq_cursor;
INSERT INTO main_service.mq_cursor DEFAULT VALUES;
TRUNCATE floor.reply;
CHECKPOINT;";

/// A database with rows that wait.
pub struct Ground {
    /// The database.
    pub database: Database,
    admin: Client,
    messages: usize,
}

/// A round.
pub struct Run {
    /// Messages a second.
    pub speed: f64,
    /// The CPU time of a message in all processes, in microseconds.
    pub cpu: f64,
    /// Spans that were dropped.
    pub dropped: f64,
}

impl Ground {
    /// Makes the database and fills the outbox.
    pub async fn fill(stand: &Stand, mode: Mode, messages: usize) -> Outcome<Self> {
        let database = stand.database().await?;
        let admin = database.connect().await?;
        admin.batch_execute(TABLES).await.context("making the tables of the floor")?;
        let count = i64::try_from(messages)?;
        let main = database.connect_as("main").await?;
        main.execute(FILL, &[&count, &mode.method()]).await.context("filling the outbox")?;
        admin.execute(FILL_FLOOR, &[]).await.context("filling the floor's outbox")?;
        admin.batch_execute("VACUUM ANALYZE main_service.mq_publish, floor.outbox").await?;
        Ok(Self { database, admin, messages })
    }

    /// Adds functions in SQL to the database.
    pub async fn with(self, functions: &str) -> Outcome<Self> {
        self.admin.batch_execute(functions).await.context("making functions in SQL")?;
        Ok(self)
    }

    /// Makes all rows unread again.
    pub async fn renew(&self) -> Outcome {
        self.admin.batch_execute(ANEW).await.context("making all rows unread again")
    }

    /// A round of the minimal dispatcher, which asks this responder.
    pub async fn by_floor(&self, stand: &Stand, responder: &str) -> Outcome<Run> {
        let _responder = stand.ready_task(responder, &self.database).await?;
        let begun = cpu::spent();
        let messages = format!("--messages={}", self.messages);
        let dispatcher: Process = stand.spawn_task("floor-dispatcher", &[&messages], &self.database.url())?;
        let exit = dispatcher.wait_within(LIMIT).await?;
        let said = dispatcher.log();
        match said.trim().parse::<f64>() {
            Ok(seconds) if exit.success() => Ok(self.run(seconds, begun, 0.0)),
            _ => Err(Failure::new(format!("the minimal dispatcher ended with {exit}: {said}"))),
        }
    }

    /// A round of tpro; with a collector, every message is traced.
    pub async fn by_tpro(&self, stand: &Stand, collector: Option<&Collector>) -> Outcome<Run> {
        let sidecar = |service| {
            let sidecar = stand.sidecar(&self.database, service)?;
            Outcome::Ok(match collector {
                Some(collector) => sidecar.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
                None => sidecar,
            })
        };
        let echo = sidecar("echo")?.start().await?;
        let begun = cpu::spent();
        let main = sidecar("main")?.start().await?;
        let seconds = self.seconds().await?;
        let dropped = dropped(&main).await? + dropped(&echo).await?;
        main.stop().await?;
        let run = self.run(seconds, begun, dropped);
        echo.stop().await?;
        Ok(run)
    }

    fn run(&self, seconds: f64, begun: Duration, dropped: f64) -> Run {
        let messages = self.messages as f64;
        let spent = cpu::spent().saturating_sub(begun).as_secs_f64();
        Run { speed: messages / seconds, cpu: spent * 1e6 / messages, dropped }
    }

    /// From the first send to the last reply row, by the clock of this machine.
    async fn seconds(&self) -> Outcome<f64> {
        const WRITTEN: &str = "SELECT count(*) FROM main_service.mq_reply";
        // Counting is dear; as long as the last row has no reply there is no need to.
        const LAST: &str =
            "SELECT FROM main_service.mq_reply WHERE mq_id = (SELECT max(id) FROM main_service.mq_publish)";
        const SPENT: &str = "SELECT extract(epoch FROM max(replied_at) - min(sent_at))::float8,
                                    count(*) FILTER (WHERE status <> 'ok') FROM main_service.mq_reply";
        let (admin, messages) = (&self.admin, i64::try_from(self.messages)?);
        eventually_within(LIMIT, "every row is settled", async || {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if admin.query_opt(LAST, &[]).await?.is_none() {
                return Ok(None);
            }
            let written: i64 = admin.query_one(WRITTEN, &[]).await?.get(0);
            Ok((written >= messages).then_some(()))
        })
        .await?;
        let spent = admin.query_one(SPENT, &[]).await?;
        match spent.get::<_, i64>(1) {
            0 => Ok(spent.get(0)),
            failed => Err(Failure::new(format!("{failed} of {messages} replies are not ok"))),
        }
    }
}

async fn dropped(sidecar: &SidecarProcess) -> Outcome<f64> {
    sidecar.metric("tpro_spans_dropped_total").await
}
