//! The time by the database's clock.
//!
//! A uid carries the time of the database that made it. The inbox asks if this time is too old or
//! still to come, and the clock of its own database decides. The clock of this host may be an hour
//! off and may jump, so it does not answer these questions. The database is asked every few
//! seconds, and in between its time goes on by the monotonic clock, which does not jump. Budgets
//! are durations and need no clock. Only the times of spans are left to the host's own clock.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};

use crate::failpoint;

/// The time by the database's clock. Cheap to clone.
#[derive(Clone)]
pub struct Clock {
    said: Arc<Mutex<Said>>,
    skew: Gauge,
}

/// The time that the database has said, and the moment at which it did.
struct Said {
    theirs: SystemTime,
    at: Instant,
}

impl Clock {
    /// A clock of this time, which the database has just said.
    pub fn new(theirs: SystemTime, skew: Gauge) -> Self {
        Self { said: Arc::new(Mutex::new(Said { theirs, at: Instant::now() })), skew }
    }

    /// Sets the time that the database has said.
    pub fn set(&self, theirs: SystemTime) {
        *self.lock() = Said { theirs, at: Instant::now() };
        self.count_skew(theirs);
    }

    /// Counts the lead of this host's clock over a time that the database has just said.
    pub fn count_skew(&self, theirs: SystemTime) {
        self.skew.set(host_ahead_ms(theirs));
    }

    /// The time now.
    pub fn now(&self) -> SystemTime {
        let said = self.lock();
        said.theirs + said.at.elapsed()
    }

    /// The time now in milliseconds since 1970, as a uid has it.
    pub fn unix_ms(&self) -> u64 {
        let since = self.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// The time since the database was asked.
    pub fn age(&self) -> Duration {
        self.lock().at.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The clock of this host, for spans, and for its own difference.
pub fn host() -> SystemTime {
    let now = SystemTime::now();
    match failpoint::number("clock.host") {
        Some(ms) if ms < 0 => now - Duration::from_millis(ms.unsigned_abs()),
        Some(ms) => now + Duration::from_millis(ms.unsigned_abs()),
        None => now,
    }
}

/// Registers the lead of this host's clock over the database's, in milliseconds, when the database
/// was last asked.
pub fn register_skew(r: &mut Registry) -> Gauge {
    let skew = Gauge::default();
    r.register("clock_skew_ms", "This host's clock ahead of the database's", skew.clone());
    skew
}

/// The lead of this host's clock over the database's, in milliseconds; negative when it is behind.
pub fn host_ahead_ms(theirs: SystemTime) -> i64 {
    let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    host().duration_since(theirs).map_or_else(|behind| -ms(behind.duration()), ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_goes_on_from_what_the_database_has_said() {
        let hour = Duration::from_secs(3600);
        let theirs = SystemTime::now() - hour;
        let clock = Clock::new(theirs, Gauge::default());
        let now = clock.now();
        assert!(now >= theirs && now < theirs + hour);
        clock.set(theirs + 3 * hour);
        assert!(clock.now() >= theirs + 3 * hour);
        assert!(clock.age() < hour);
        assert!(host_ahead_ms(theirs) >= 3_600_000);
        assert!(host_ahead_ms(theirs + 3 * hour) < -3_600_000);
    }
}
