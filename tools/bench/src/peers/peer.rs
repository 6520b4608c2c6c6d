//! The job queues in PostgreSQL that stand beside tpro.

/// A body as all ways have it.
const BODY: &str = r#"'{"ip":"172.19.0.8", "login":"login342", "password":"phnd26w"}'"#;

/// A job queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// For Node.js.
    GraphileWorker,
    /// For Node.js.
    PgBoss,
    /// For Python.
    Procrastinate,
    /// In SQL, for any language.
    Pgmq,
}

/// The figure that a worker is set up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tuned {
    /// The time of a job that comes alone.
    Latency,
    /// Jobs a second while many wait.
    Throughput,
}

impl Peer {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::GraphileWorker, Self::PgBoss, Self::Procrastinate, Self::Pgmq];

    /// The name, which is also that of its package and of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::GraphileWorker => "graphile-worker",
            Self::PgBoss => "pg-boss",
            Self::Procrastinate => "procrastinate",
            Self::Pgmq => "pgmq",
        }
    }

    /// The file that says which packages are installed.
    pub fn manifest(self) -> &'static str {
        match self {
            Self::GraphileWorker => include_str!("../../peers/graphile-worker/package.json"),
            Self::PgBoss => include_str!("../../peers/pg-boss/package.json"),
            Self::Procrastinate => include_str!("../../peers/procrastinate/requirements.txt"),
            Self::Pgmq => include_str!("../../peers/pgmq/requirements.txt"),
        }
    }

    /// The version of its package.
    pub fn version(self) -> &'static str {
        let names = [format!("\"{}\": \"", self.name()), format!("\n{}==", self.name())];
        let rest = names.iter().find_map(|name| self.manifest().split_once(name.as_str()));
        let end = |c: char| !c.is_ascii_alphanumeric() && c != '.';
        rest.and_then(|(_, rest)| rest.split(end).next()).unwrap_or("unknown")
    }

    /// The table of its jobs.
    pub fn table(self) -> &'static str {
        match self {
            Self::GraphileWorker => "graphile_worker._private_jobs",
            Self::PgBoss => "pgboss.job",
            Self::Procrastinate => "procrastinate_jobs",
            Self::Pgmq => "pgmq.q_ask",
        }
    }

    /// The statement by which a client publishes a job; it returns the id that the reply row has.
    pub fn publish(self) -> String {
        match self {
            Self::GraphileWorker => format!("SELECT id FROM graphile_worker.add_job('ask', {BODY}::json)"),
            // Its own client notifies by this expression. Its ids are uuids: the job has the id of
            // its reply with it.
            Self::PgBoss => format!(
                "WITH job AS (SELECT nextval('floor.job') AS id),
                      sent AS (INSERT INTO pgboss.job (name, data)
                               SELECT 'ask', jsonb_build_object('id', id, 'body', {BODY}::jsonb) FROM job)
                 SELECT id, pg_notify('pgboss_' || left(encode(sha224('pgboss'::bytea), 'hex'), 24), 'ask') FROM job"
            ),
            Self::Procrastinate => format!("SELECT ({})[1]", defer()),
            Self::Pgmq => format!("SELECT pgmq.send('ask', {BODY}::jsonb)"),
        }
    }

    /// The statements that make so many jobs at once, while no worker runs.
    pub fn fill(self, jobs: usize) -> String {
        let from = format!("FROM generate_series(1, {jobs})");
        match self {
            Self::GraphileWorker => {
                format!("SELECT count(graphile_worker.add_job('ask', {BODY}::json)) {from}")
            }
            Self::PgBoss => format!(
                "INSERT INTO pgboss.job (name, data)
                 SELECT 'ask', jsonb_build_object('id', nextval('floor.job'), 'body', {BODY}::jsonb) {from}"
            ),
            Self::Procrastinate => format!("SELECT count({}) {from}", defer()),
            // Its trigger would write one row for each of them. The consumer enables it again.
            Self::Pgmq => format!(
                "SELECT pgmq.disable_notify_insert('ask');
                 SELECT count(*) FROM pgmq.send_batch('ask', array_fill({BODY}::jsonb, ARRAY[{jobs}]))"
            ),
        }
    }

    /// The jobs that wait when its throughput is measured: seconds of work.
    pub fn backlog(self) -> usize {
        match self {
            Self::GraphileWorker | Self::PgBoss | Self::Pgmq => 20_000,
            Self::Procrastinate => 2_000,
        }
    }

    /// The processes of its worker. One that has a single thread has two where much waits.
    pub fn processes(self, tuned: Tuned) -> usize {
        match (self, tuned) {
            (Self::Pgmq, _) | (_, Tuned::Latency) => 1,
            (_, Tuned::Throughput) => 2,
        }
    }

    /// The settings that differ from its own.
    pub fn settings(self) -> &'static str {
        match self {
            Self::GraphileWorker => {
                "LISTEN/NOTIFY, and the settings of its page on performance (24 jobs at once, 25 connections, a local \
                 queue of 500, jobs completed in batches); two processes for throughput"
            }
            Self::PgBoss => {
                "`useListenNotify` and `notify`, batches of 500, `burstWhenBatchFull`, a table of its own for the \
                 queue; two processes for throughput"
            }
            Self::Procrastinate => {
                "10 jobs at once, LISTEN/NOTIFY, a poll each 0.1 s instead of 5 s (a notification that comes while a \
                 fetch finds nothing is not heeded), jobs deleted when done, the driver's compiled part; two processes \
                 for throughput"
            }
            Self::Pgmq => {
                "the SQL of that Python package and a consumer in Rust, written for this: a notification for each \
                 commit, reads of up to 500 messages, replies inserted and messages deleted in one statement"
            }
        }
    }

    /// The promise that the job has by it.
    pub fn promise(self) -> &'static str {
        match self {
            Self::GraphileWorker => {
                "At least once. Reply row and end of the job are two transactions; the job of a worker that died is \
                 free again after four hours"
            }
            Self::PgBoss => {
                "At least once. Reply row and end of the job are two transactions (`transactional: true` makes them \
                 one, and a job that comes alone slower); the job of a worker that died is free again after 15 minutes"
            }
            Self::Procrastinate => {
                "At least once, where a task of the user's own looks for the jobs of workers that died. Reply row and \
                 end of the job are two transactions"
            }
            Self::Pgmq => {
                "At least once. Reply row and end of the message are one transaction; the message of a consumer that \
                 died is free again after 30 s, a time that each reader chooses"
            }
        }
    }
}

fn defer() -> String {
    format!(
        "procrastinate_defer_jobs_v1(ARRAY[ROW('ask', 'ask', 0, NULL, NULL, {BODY}::jsonb, NULL)::procrastinate_job_to_defer_v1])"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_has_the_version_of_its_manifest() {
        for peer in Peer::ALL {
            let version = peer.version();
            assert!(version.split('.').count() == 3, "{}: {version}", peer.name());
            assert!(
                version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'),
                "{}: {version}",
                peer.name()
            );
        }
    }
}
