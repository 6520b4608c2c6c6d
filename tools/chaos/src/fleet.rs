//! The copies of the services. It knows the copies that were taken down on purpose, so that a copy
//! that dies by itself is found.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tpro_testkit::proxy::Fault;
use tpro_testkit::{Context as _, Outcome, Proxy, Sidecar, SidecarProcess, Signal};

use crate::act::{COPIES, SERVICES};
use crate::stand::Stand;

/// The time that a copy has from SIGTERM to its end: its own limit (`STOP_TIMEOUT`, 25 s) and the
/// flushes after it.
const STOP_LIMIT: Duration = Duration::from_secs(40);
/// Counters that are added up over all starts of all copies: a metric, and a label of it.
const COUNTERS: [(&str, &str); 6] = [
    ("tpro_not_run_total", "reason=\"repeat\""),
    ("tpro_not_run_total", "reason=\"joined\""),
    ("tpro_not_run_total", "reason=\"working\""),
    ("tpro_not_run_total", "reason=\"overloaded\""),
    ("tpro_late_replies_total", ""),
    ("tpro_deposed_total", ""),
];

/// A place for a copy, and its lines.
pub struct Berth {
    /// The service.
    pub service: &'static str,
    /// `COPY_NUMBER`.
    pub number: u32,
    /// To NATS.
    pub nats: Proxy,
    /// To PostgreSQL.
    pub database: Proxy,
    /// Held by the fault that has this copy: another passes it over.
    pub busy: tokio::sync::Mutex<()>,
    sidecar: Sidecar,
    copy: Mutex<Option<Arc<SidecarProcess>>>,
    counted: Mutex<BTreeMap<(u32, usize), f64>>,
}

impl Berth {
    /// `service-number`.
    pub fn name(&self) -> String {
        format!("{}-{}", self.service, self.number)
    }

    /// The copy, unless it is down on purpose.
    pub fn copy(&self) -> Option<Arc<SidecarProcess>> {
        lock(&self.copy).clone()
    }

    /// Starts it and waits for nothing.
    pub fn start(&self) -> Outcome {
        *lock(&self.copy) = Some(self.sidecar.clone().spawn()?);
        Ok(())
    }

    /// Kills it.
    pub async fn kill(&self) -> Outcome {
        // Taken out first, so that its end is expected.
        let copy = lock(&self.copy).take();
        match copy {
            Some(copy) => copy.kill().await,
            None => Ok(()),
        }
    }

    /// Stops it by SIGTERM. Its limit may cut it off (code 1) when servers are gone meanwhile; it
    /// must end in any case.
    pub async fn stop(&self) -> Outcome {
        let copy = lock(&self.copy).take();
        let Some(copy) = copy else { return Ok(()) };
        copy.signal(Signal::TERM)?;
        let exit = copy.process().wait_within(STOP_LIMIT).await?;
        if exit.signal() == Some(Signal::TERM.as_raw()) && !copy.process().has_spoken() {
            // It had been started a moment before, did not listen for signals yet, and had done
            // nothing.
            return Ok(());
        }
        exit.code().context(format!("{} died of a signal after SIGTERM: {exit}", self.name())).map(drop)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Outcome {
        match self.copy() {
            Some(copy) => copy.signal(signal),
            None => Ok(()),
        }
    }

    /// Remembers the present values of its counters.
    async fn count(&self) {
        let Some(copy) = self.copy() else { return };
        // A copy that is frozen or has just started says nothing.
        let asked = tokio::time::timeout(Duration::from_millis(500), copy.get("/metrics")).await;
        let Ok(Ok(page)) = asked else { return };
        for (at, (metric, label)) in COUNTERS.iter().enumerate() {
            let value = page.body.lines().filter(|line| line.starts_with(metric) && line.contains(label));
            let value = value.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
            lock(&self.counted).insert((copy.process().pid(), at), value);
        }
    }
}

/// All copies.
pub struct Fleet {
    /// In the order of their names.
    pub berths: Vec<Arc<Berth>>,
}

impl Fleet {
    /// Starts two copies of each service and waits until all are ready.
    pub async fn start(stand: &Stand) -> Outcome<Self> {
        let mut berths = Vec::new();
        for service in SERVICES {
            for number in 1..=COPIES {
                let nats = Proxy::start(stand.nats.port()).await?;
                let database = Proxy::start(stand.cluster().port()).await?;
                let sidecar = stand.sidecar(service, number, &nats, &database)?;
                berths.push(Arc::new(Berth {
                    service,
                    number,
                    nats,
                    database,
                    busy: tokio::sync::Mutex::new(()),
                    sidecar,
                    copy: Mutex::new(None),
                    counted: Mutex::new(BTreeMap::new()),
                }));
            }
        }
        let fleet = Self { berths };
        fleet.all_up().await?;
        Ok(fleet)
    }

    /// The berth of a copy.
    pub fn berth(&self, service: &str, number: u32) -> Option<&Arc<Berth>> {
        self.berths.iter().find(|berth| berth.service == service && berth.number == number)
    }

    /// Makes all lines good, starts what is down, and waits until all copies are ready.
    pub async fn all_up(&self) -> Outcome {
        for berth in &self.berths {
            berth.nats.set(Fault::None);
            berth.database.set(Fault::None);
            if berth.copy().is_none() {
                berth.start()?;
            }
        }
        for berth in &self.berths {
            if let Some(copy) = berth.copy() {
                copy.ready().await?;
            }
        }
        Ok(())
    }

    /// The copies that have ended by themselves since the last look; each is started again, so that
    /// the run goes on.
    pub fn dead(&self) -> Outcome<Vec<String>> {
        let mut dead = Vec::new();
        for berth in &self.berths {
            let Some(copy) = berth.copy() else { continue };
            if let Some(exit) = copy.process().exit()? {
                // Taken down on purpose between the two looks: its end was ordered.
                if berth.copy().is_some_and(|now| Arc::ptr_eq(&now, &copy)) {
                    dead.push(format!("{} has ended by itself with {exit}", berth.name()));
                    berth.start()?;
                }
            }
        }
        Ok(dead)
    }

    /// The number of copies that run.
    pub fn running(&self) -> usize {
        self.berths.iter().filter(|berth| berth.copy().is_some()).count()
    }

    /// Remembers the present values of all counters: a killed copy takes its later counts with it.
    pub async fn count(&self) {
        for berth in &self.berths {
            berth.count().await;
        }
    }

    /// A counter, added up over all starts of all copies, as far as it was seen; `what` is its
    /// label's value or its name.
    pub fn counted(&self, what: &str) -> u64 {
        let wanted = |at: usize| COUNTERS[at].0.contains(what) || COUNTERS[at].1.contains(what);
        let sums = self.berths.iter().map(|berth| {
            let counted = lock(&berth.counted);
            counted.iter().filter(|((_, at), _)| wanted(*at)).map(|(_, value)| value).sum::<f64>()
        });
        sums.sum::<f64>() as u64
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
