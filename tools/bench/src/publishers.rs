//! The CPU time that a commit takes of its publisher's backend: that of the trigger and of the ring
//! is in it, that of the dispatcher is not.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use tpro_testkit::{Context as _, Database, Failure, Outcome};

use crate::session::{Session, Statements};

/// Clients that publish the same statement.
pub struct Publishers(Vec<Session>);

impl Publishers {
    /// Connects so many clients as `main`.
    pub fn open(database: &Database, publish: &str, count: usize) -> Outcome<Self> {
        let look = "SELECT 0::bigint, true WHERE 0 = ANY($1::bigint[])".to_owned();
        let publish = format!("{} RETURNING id", publish.trim_end_matches(';'));
        let statements = Statements { publish, look };
        let open = || Session::open(&database.role_url("main"), &statements);
        Ok(Self((0..count).map(|_| open()).collect::<Outcome<_>>()?))
    }

    /// Microseconds a commit, while all publish for so long as fast as they can.
    pub fn burst(&self, time: Duration) -> Outcome<f64> {
        let end = Instant::now() + time;
        self.cost(&|client| {
            let mut commits = 0;
            while Instant::now() < end {
                client.publish()?;
                commits += 1;
            }
            Ok(commits)
        })
    }

    /// Microseconds a commit, while each publishes so many messages with a gap before each.
    pub fn trickle(&self, messages: u32, gap: Duration) -> Outcome<f64> {
        self.cost(&|client| {
            for _ in 0..messages {
                thread::sleep(gap);
                client.publish()?;
            }
            Ok(messages)
        })
    }

    /// The CPU time of all backends while the clients do this, by the number of commits.
    fn cost(&self, publish: &(dyn Fn(&Session) -> Outcome<u32> + Sync)) -> Outcome<f64> {
        let before = self.spent()?;
        let commits = thread::scope(|scope| {
            let all: Vec<_> = self.0.iter().map(|client| scope.spawn(move || publish(client))).collect();
            all.into_iter()
                .map(|one| one.join().map_err(|_| Failure::new("a publisher panicked"))?)
                .sum::<Outcome<u32>>()
        })?;
        Ok((self.spent()? - before) / 1_000.0 / f64::from(commits))
    }

    /// Nanoseconds on a CPU so far, by `/proc/<pid>/schedstat`.
    fn spent(&self) -> Outcome<f64> {
        self.0.iter().map(|client| nanoseconds(client.backend()?)).sum()
    }
}

fn nanoseconds(pid: i32) -> Outcome<f64> {
    let path = format!("/proc/{pid}/schedstat");
    let text = fs::read_to_string(&path).context(format!("reading {path}"))?;
    text.split(' ').next().and_then(|first| first.parse().ok()).context(format!("{path} has no number"))
}
