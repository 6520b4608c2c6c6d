//! Carries out the schedule.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tpro_testkit::proxy::Fault;
use tpro_testkit::{Outcome, Proxy, Signal};

use crate::act::{Act, What, Whom};
use crate::fleet::{Berth, Fleet};
use crate::schedule::Round;
use crate::stand::Stand;
use crate::takeover::Takeovers;

/// A random session of any sidecar, but not the one that was looked at last.
const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'tpro/%' ORDER BY random() LIMIT 1";

/// A leader that stands still for longer is deposed; one that does not goes on leading.
const DEPOSED_AFTER: Duration = Duration::from_secs(12);

/// Makes faults, and notes the troubles in making them.
pub struct Nemesis {
    stand: Arc<Stand>,
    fleet: Arc<Fleet>,
    takeovers: Arc<Takeovers>,
    troubles: Mutex<Vec<String>>,
    servers: Servers,
    begun: Instant,
}

/// The servers are restarted by one fault at a time.
#[derive(Default)]
struct Servers {
    postgres: tokio::sync::Mutex<()>,
    nats: tokio::sync::Mutex<()>,
}

impl Nemesis {
    /// One that has done nothing yet; the time of the schedule runs from now.
    pub fn new(stand: &Arc<Stand>, fleet: &Arc<Fleet>, takeovers: &Arc<Takeovers>) -> Self {
        Self {
            stand: stand.clone(),
            fleet: fleet.clone(),
            takeovers: takeovers.clone(),
            troubles: Mutex::default(),
            servers: Servers::default(),
            begun: Instant::now(),
        }
    }

    /// Does all of it, and returns when the last fault is over.
    pub async fn run(&self, rounds: &[Round]) {
        for round in rounds {
            futures_util::future::join_all(round.acts.iter().map(|act| self.act(act))).await;
        }
    }

    /// Troubles: a copy that would not stop, a server that would not start.
    pub fn troubles(&self) -> Vec<String> {
        lock(&self.troubles).clone()
    }

    async fn act(&self, act: &Act) {
        tokio::time::sleep_until((self.begun + act.at).into()).await;
        let done = self.make(act.what).await;
        match done {
            Ok(true) => {}
            Ok(false) => println!("           passed over, since it is under another fault: {act}"),
            Err(failure) => lock(&self.troubles).push(format!("{}: {failure}", act.what)),
        }
    }

    /// Makes the fault and undoes it; false if its victim has another one already.
    async fn make(&self, what: What) -> Outcome<bool> {
        match what {
            What::Terminate(sessions) => {
                self.terminate(sessions).await;
                Ok(true)
            }
            What::Postgres(mode, down) => {
                let Ok(_alone) = self.servers.postgres.try_lock() else { return Ok(false) };
                self.takeovers.spoil();
                self.stand.cluster().stop(mode).await?;
                self.stand.is_down();
                tokio::time::sleep(down).await;
                self.stand.cluster().start().await?;
                self.takeovers.spoil();
                Ok(true)
            }
            What::Nats(killed, down) => {
                let Ok(_alone) = self.servers.nats.try_lock() else { return Ok(false) };
                self.takeovers.spoil();
                if killed {
                    self.stand.nats.kill().await?
                } else {
                    self.stand.nats.stop().await?
                }
                tokio::time::sleep(down).await;
                self.stand.nats.start().await?;
                self.takeovers.spoil();
                Ok(true)
            }
            What::PublisherLine(fault, length) => {
                spoil(&self.stand.publishers, fault, length).await;
                Ok(true)
            }
            What::Reader(service, table, length) => {
                self.read(service, table, length).await;
                Ok(true)
            }
            What::Jump(service, ids) => {
                self.jump(service, ids).await;
                Ok(true)
            }
            What::Kill(whom, _)
            | What::Stop(whom, _)
            | What::Freeze(whom, _)
            | What::NatsLine(whom, ..)
            | What::DatabaseLine(whom, ..) => {
                let Some(berth) = self.find(whom) else { return Ok(false) };
                let Ok(_alone) = berth.busy.try_lock() else { return Ok(false) };
                self.meet(&berth, what).await.map(|()| true)
            }
        }
    }

    async fn meet(&self, berth: &Berth, what: What) -> Outcome {
        let hit = |what| self.takeovers.hit(berth.service, berth.number, what);
        match what {
            What::Kill(_, pause) => {
                hit("after SIGKILL of the leader");
                berth.kill().await?;
                tokio::time::sleep(pause).await;
                berth.start()
            }
            What::Stop(_, pause) => {
                hit("after SIGTERM of the leader");
                let stopped = berth.stop().await;
                tokio::time::sleep(pause).await;
                berth.start()?;
                stopped
            }
            What::Freeze(_, length) => {
                if length > DEPOSED_AFTER {
                    hit("after a freeze of the leader beyond 12 s");
                }
                berth.signal(Signal::STOP)?;
                tokio::time::sleep(length).await;
                berth.signal(Signal::CONT)
            }
            What::NatsLine(_, fault, length) => {
                spoil(&berth.nats, fault, length).await;
                Ok(())
            }
            What::DatabaseLine(_, fault, length) => {
                if matches!(fault, Fault::Reset) {
                    hit("after a reset of the leader's line to PostgreSQL");
                }
                spoil(&berth.database, fault, length).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn find(&self, whom: Whom) -> Option<Arc<Berth>> {
        let (service, number) = match whom {
            Whom::Copy(service, number) => (service, number),
            Whom::Leader(service) => (service, self.takeovers.leader(service)?),
        };
        self.fleet.berth(service, number).cloned()
    }

    /// Reads a row of the table, and holds the transaction open. A restart of the server ends it.
    async fn read(&self, service: &str, table: &str, length: Duration) {
        let Ok(reader) = self.stand.admin().await else { return };
        let read =
            format!("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM {service}_service.{table} LIMIT 1");
        if reader.batch_execute(&read).await.is_ok() {
            tokio::time::sleep(length).await;
            let _ = reader.batch_execute("COMMIT").await;
        }
    }

    async fn jump(&self, service: &str, ids: i64) {
        let sequence = format!("{service}_service.mq_publish_id_seq");
        let jump = format!("SELECT setval('{sequence}', last_value + {ids}) FROM {sequence}");
        // While PostgreSQL is away there is nothing to move.
        if let Ok(admin) = self.stand.admin().await {
            let _ = admin.batch_execute(&jump).await;
        }
    }

    async fn terminate(&self, sessions: u32) {
        for _ in 0..sessions {
            // While PostgreSQL is away there is nothing to terminate.
            if let Ok(admin) = self.stand.admin().await {
                let _ = admin.execute(TERMINATE, &[]).await;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Makes a line bad for a while.
async fn spoil(line: &Proxy, fault: Fault, length: Duration) {
    line.set(fault);
    tokio::time::sleep(length).await;
    line.set(Fault::None);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
