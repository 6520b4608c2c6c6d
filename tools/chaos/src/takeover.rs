//! A watch over the leaders from outside: the time that a service is without a leader after a fault
//! of the one it had.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tpro_testkit::Outcome;

use crate::stand::Stand;

/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// The leaders and the numbers of their copies.
const LEADERS: &str = "SELECT s.name, l.pid, split_part(a.application_name, '/', 3) FROM tpro.locks l
    JOIN tpro.service_schemas s USING (schema_oid) JOIN pg_stat_activity a USING (pid) WHERE l.lock = 'leader'";

/// Watches until it is dropped.
pub struct Takeovers {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    /// The backend that leads a service, and the number of its copy.
    leaders: BTreeMap<String, (i32, u32)>,
    /// The fault of a leader that had this backend, and its time.
    hits: BTreeMap<String, (i32, &'static str, Instant)>,
    /// The times until another copy led, by fault.
    times: BTreeMap<&'static str, Vec<Duration>>,
    changes: usize,
}

impl Takeovers {
    /// Begins to watch.
    pub async fn watch(stand: &Arc<Stand>) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn(watch(stand.clone(), seen.clone()));
        Self { seen, task }
    }

    /// The number of the copy that leads a service, as last seen.
    pub fn leader(&self, service: &str) -> Option<u32> {
        lock(&self.seen).leaders.get(service).map(|(_, number)| *number)
    }

    /// Notes a fault of a copy. If it leads, the time runs until another does.
    pub fn hit(&self, service: &str, number: u32, what: &'static str) {
        let mut seen = lock(&self.seen);
        if let Some((pid, _)) = seen.leaders.get(service).copied().filter(|(_, leads)| *leads == number) {
            seen.hits.insert(service.to_owned(), (pid, what, Instant::now()));
        }
    }

    /// PostgreSQL or all of NATS is gone: what was being measured says nothing about leaders any
    /// more.
    pub fn spoil(&self) {
        lock(&self.seen).hits.clear();
    }

    /// The number of times that another session came to lead.
    pub fn changes(&self) -> usize {
        lock(&self.seen).changes
    }

    /// A line for each fault of leaders: its number, and the times until another led.
    pub fn lines(&self) -> Vec<String> {
        let seen = lock(&self.seen);
        let lines = seen.times.iter().map(|(what, times)| {
            let mut times = times.clone();
            times.sort();
            let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)].as_millis();
            let (count, p50, p99, worst) = (times.len(), at(50), at(99), times[times.len() - 1].as_millis());
            format!("{what}: {count} times, p50 {p50} ms, p99 {p99} ms, longest {worst} ms")
        });
        lines.collect()
    }
}

impl Drop for Takeovers {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(stand: Arc<Stand>, seen: Arc<Mutex<Seen>>) {
    loop {
        // Refused or lost while PostgreSQL is away: again.
        if let Ok(session) = stand.admin().await {
            let _ = look(&session, &seen).await;
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn look(session: &Client, seen: &Mutex<Seen>) -> Outcome {
    let statement = session.prepare(LEADERS).await?;
    loop {
        let rows = session.query(&statement, &[]).await?;
        let now = Instant::now();
        {
            let mut seen = lock(seen);
            for row in rows {
                let (service, pid): (String, i32) = (row.get(0), row.get(1));
                let number = row.get::<_, String>(2).parse().unwrap_or(0);
                let before = seen.leaders.insert(service.clone(), (pid, number));
                if before.is_some_and(|(before, _)| before != pid) {
                    seen.changes += 1;
                }
                if let Some((_, what, at)) = seen.hits.get(&service).copied().filter(|hit| hit.0 != pid) {
                    seen.hits.remove(&service);
                    seen.times.entry(what).or_default().push(now - at);
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
