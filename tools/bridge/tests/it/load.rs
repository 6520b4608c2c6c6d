//! Requests from both sides to a service that changes over, and publishes of its own application.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tpro_testkit::{Context, Failure, GoRequester, Message, Outcome, World, eventually, go, paths};

use crate::bridged::{Bridged, PATIENCE};

/// The method of `co` that everybody asks for.
pub const METHOD: &str = "co.example.request_with_parallel_queries";
/// The pause between two requests of one requester.
const PAUSE: Duration = Duration::from_millis(40);

/// Runs `tpro migrate` as the superuser.
pub async fn migrate(world: &World, arguments: &[&str]) -> Outcome<Value> {
    let mut tpro = Command::new(paths::binary("tpro", "tpro")?);
    tpro.arg("migrate").args(arguments).arg("--json").env_clear().env("DATABASE_URL", world.database.url());
    let done = tokio::task::spawn_blocking(move || tpro.output()).await??;
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    if !done.status.success() {
        return Err(Failure::new(format!("tpro migrate {arguments:?}: {text}")));
    }
    serde_json::from_slice(&done.stdout).context("reading what tpro has printed")
}

/// Makes the Go schema of `co`, and the role by which its application logs in.
pub async fn create_co(world: &World) -> Outcome {
    go::create_schema(&world.admin, "co").await?;
    world.database.create_role("co").await?;
    let rights = "GRANT USAGE ON SCHEMA co_service TO co; GRANT ALL ON ALL TABLES IN SCHEMA co_service TO co;
                  GRANT ALL ON ALL SEQUENCES IN SCHEMA co_service TO co";
    world.admin.batch_execute(rights).await.context("granting")
}

/// The requesters, which ask until they are told to stop.
pub struct Load {
    going: Arc<AtomicBool>,
    asked: Arc<AtomicI64>,
    asking: JoinHandle<Outcome>,
    rows: JoinHandle<Outcome<Vec<i64>>>,
}

impl Load {
    /// A Go service asks `co`, and `main` does.
    pub async fn start(bridged: &Bridged) -> Outcome<Load> {
        let going = Arc::new(AtomicBool::new(true));
        let asked = Arc::new(AtomicI64::new(0));
        let monolith = Arc::new(GoRequester::new(&bridged.old, "monolith").await?);
        let asking = tokio::spawn({
            let (going, asked) = (going.clone(), asked.clone());
            async move {
                let mut answers = Vec::new();
                while going.load(Ordering::Relaxed) {
                    let (monolith, number) = (monolith.clone(), asked.fetch_add(1, Ordering::Relaxed) + 1);
                    answers.push(tokio::spawn(async move {
                        monolith.ask(number, METHOD, json!({}), PATIENCE).await?.ok()
                    }));
                    tokio::time::sleep(PAUSE).await;
                }
                for answer in answers {
                    answer.await??;
                }
                Outcome::Ok(())
            }
        });
        let publisher = bridged.world.database.connect_as("main").await?;
        let rows = tokio::spawn({
            let going = going.clone();
            async move {
                let mut ids = Vec::new();
                while going.load(Ordering::Relaxed) {
                    ids.push(Message::to(METHOD).timeout(80).publish(&publisher).await?);
                    tokio::time::sleep(PAUSE).await;
                }
                Outcome::Ok(ids)
            }
        });
        Ok(Load { going, asked, asking, rows })
    }

    /// Waits until the Go service has asked so many more times.
    pub async fn goes_on(&self, more: i64) -> Outcome {
        let wanted = self.asked.load(Ordering::Relaxed) + more;
        eventually("requests go on", async || Ok(self.asked.load(Ordering::Relaxed) >= wanted)).await
    }

    /// The old statement of the application of `co`, over and over, with a number in its body.
    pub async fn publish(&self, world: &World, target: &str, method: &str) -> Outcome<Publishes> {
        let app = world.database.connect_as("co").await?;
        let statement = format!(
            "INSERT INTO co_service.mq_publish (protocol,space_name,service_name,entity,method_name,timeout,headers,body)
             VALUES ('jsonrpc','tpro','{target}','example','{method}',80,'{{\"request\":{{\"type\":\"single\"}}}}','{{\"n\":"
        );
        let (going, done) = (self.going.clone(), Arc::new(AtomicI64::new(0)));
        let task = tokio::spawn({
            let done = done.clone();
            async move {
                while going.load(Ordering::Relaxed) {
                    let number = done.load(Ordering::Relaxed) + 1;
                    app.batch_execute(&format!("{statement}{number}}}')")).await.context("publishing")?;
                    done.store(number, Ordering::Relaxed);
                    tokio::time::sleep(PAUSE).await;
                }
                Outcome::Ok(())
            }
        });
        Ok(Publishes { done, task })
    }

    /// Stops the requesters, and waits until all that they have asked is answered. Returns the
    /// number of requests.
    pub async fn end(self, world: &World) -> Outcome<i64> {
        self.going.store(false, Ordering::Relaxed);
        self.asking.await??;
        let ids = self.rows.await??;
        for id in &ids {
            world.await_reply(*id).await?.ok()?;
        }
        Ok(self.asked.load(Ordering::Relaxed) + ids.len() as i64)
    }
}

/// The publishes of an application.
pub struct Publishes {
    done: Arc<AtomicI64>,
    task: JoinHandle<Outcome>,
}

impl Publishes {
    /// Waits until so many more are committed.
    pub async fn go_on(&self, more: i64) -> Outcome {
        let wanted = self.done.load(Ordering::Relaxed) + more;
        eventually("the application goes on", async || Ok(self.done.load(Ordering::Relaxed) >= wanted)).await
    }

    /// Waits for the end, after that of the load. Returns their number; theirs are 1 to this.
    pub async fn end(self) -> Outcome<i64> {
        self.task.await??;
        Ok(self.done.load(Ordering::Relaxed))
    }
}
