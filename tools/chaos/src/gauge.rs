//! The measures of a soak: memory, files, threads, tasks and messages in hand of the copies, and
//! the memory of their backends.

use std::collections::BTreeMap;
use std::fs;

use tokio_postgres::Client;
use tpro_testkit::Outcome;

use crate::fleet::{Berth, Fleet};
use crate::slope::Sample;

/// Mebibytes of the copies' sessions in PostgreSQL, by copy: the operating system counts them by
/// process id.
const BACKENDS: &str =
    "SELECT split_part(application_name, '/', 2) || '-' || split_part(application_name, '/', 3), pid
    FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'tpro/%'";

/// A measure, and with it the growth that counts.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Measure {
    /// Mebibytes of its own that a copy has in RAM: without the pages of its program, which come in
    /// as they are first run.
    Resident,
    /// Mebibytes of their own that the sessions of a copy have in PostgreSQL.
    Backends,
    /// Open files of a copy.
    Files,
    /// Threads of a copy.
    Threads,
    /// Tasks on a copy's tracker.
    Tasks,
    /// Messages that a copy has in flight, waiting, unsettled or at work, by its own metrics.
    InHand,
}

impl Measure {
    /// The unit of the measure.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Resident | Self::Backends => "MB",
            Self::Files => "files",
            Self::Threads => "threads",
            Self::Tasks => "tasks",
            Self::InHand => "messages",
        }
    }

    /// The gross growth in a minute, even in a short look.
    pub fn gross(self) -> f64 {
        match self {
            // A plateau that is approached as 3 MB times the logarithm of time takes 1.2 MB in the
            // later half of a run of a minute, 3.6 MB a minute, and less in any longer one.
            Self::Resident | Self::Backends => 5.0,
            // More than the load's ups and downs move the median of a third of the time.
            Self::Files | Self::Threads | Self::Tasks | Self::InHand => 30.0,
        }
    }
}

/// All series, by measure and copy.
#[derive(Default)]
pub struct Gauges {
    series: BTreeMap<(Measure, String), Vec<Sample>>,
    settled: BTreeMap<String, f64>,
}

impl Gauges {
    /// Looks at everything once; `at` is in hours.
    pub async fn look(&mut self, fleet: &Fleet, admin: &Client, at: f64) -> Outcome {
        for berth in &fleet.berths {
            self.look_at(berth, at).await?;
        }
        let mut backends: BTreeMap<String, f64> = BTreeMap::new();
        for row in admin.query(BACKENDS, &[]).await? {
            let pid: i32 = row.get(1);
            // A process that has just ended has no memory.
            let memory = status(pid as u32, "RssAnon:").unwrap_or(0.0) / 1024.0;
            *backends.entry(row.get(0)).or_default() += memory;
        }
        for (copy, memory) in backends {
            self.add(Measure::Backends, copy, at, memory);
        }
        Ok(())
    }

    async fn look_at(&mut self, berth: &Berth, at: f64) -> Outcome {
        let Some(copy) = berth.copy() else { return Ok(()) };
        let pid = copy.process().pid();
        let name = berth.name();
        if let Some(memory) = status(pid, "RssAnon:") {
            self.add(Measure::Resident, name.clone(), at, memory / 1024.0);
        }
        if let Some(threads) = status(pid, "Threads:") {
            self.add(Measure::Threads, name.clone(), at, threads);
        }
        if let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) {
            self.add(Measure::Files, name.clone(), at, files.count() as f64);
        }
        // One page for all: looking is load, too.
        let page = copy.get("/metrics").await?.body;
        self.add(Measure::Tasks, name.clone(), at, metric(&page, "tpro_tasks"));
        let gauges = ["tpro_in_flight", "tpro_waiting", "tpro_unsettled", "tpro_handlers_at_work"];
        let in_hand = gauges.iter().map(|gauge| metric(&page, gauge)).sum();
        self.add(Measure::InHand, name.clone(), at, in_hand);
        self.settled.insert(name, metric(&page, "tpro_settled_total"));
        Ok(())
    }

    /// Messages that the copies had settled when last looked at.
    pub fn settled(&self) -> f64 {
        self.settled.values().sum()
    }

    /// Forgets all samples: they were of the warm-up.
    pub fn forget(&mut self) {
        self.series.clear();
    }

    fn add(&mut self, measure: Measure, copy: String, at: f64, value: f64) {
        self.series.entry((measure, copy)).or_default().push((at, value));
    }

    /// The series, each with what it measures and its copy.
    pub fn series(&self) -> impl Iterator<Item = (Measure, &str, &[Sample])> {
        self.series.iter().map(|((measure, copy), samples)| (*measure, copy.as_str(), samples.as_slice()))
    }
}

/// The sum of a metric over all its label sets.
fn metric(page: &str, name: &str) -> f64 {
    let lines = page.lines().filter_map(|line| line.rsplit_once(' '));
    lines
        .filter(|(series, _)| series.split('{').next() == Some(name))
        .filter_map(|(_, value)| value.parse::<f64>().ok())
        .sum()
}

/// A number of `/proc/<pid>/status`; memory is in KiB there.
fn status(pid: u32, name: &str) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}
