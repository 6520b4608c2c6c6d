//! Both servers, taken through the same steps.

use std::sync::Arc;

use tokio_postgres::Client;
use tpro_simulation::{
    postgres::{Answer, Server, SessionId, SqlState, Statement, Step},
    time::Time,
};
use tpro_testkit::{Context, Database, Outcome, Postgres, StopMode};

use super::{
    answer,
    real::{self, Session},
    script::{MAIN, Script},
    text::Translation,
};

/// Sessions of a script.
const SESSIONS: usize = 5;

/// A session on both servers.
struct Both {
    simulated: SessionId,
    real: Session,
    /// The statement that waits.
    waits: Option<Statement>,
}

/// Both servers in the same state.
pub struct Pair {
    cluster: Arc<Postgres>,
    database: Database,
    admin: Client,
    server: Server,
    now: Time,
    sessions: Vec<Both>,
    script: Script,
    translation: Translation,
    /// The steps, to be printed where both part.
    log: Vec<String>,
}

impl Pair {
    /// A database with one service, and sessions on it.
    pub async fn new(cluster: &Arc<Postgres>, seed: u64) -> Outcome<Self> {
        let database = cluster.database().await?;
        database.create_service("main").await?;
        let admin = database.connect().await?;
        admin.batch_execute("CREATE TABLE effects (uid uuid)").await?;
        let mut pair = Self {
            cluster: cluster.clone(),
            database,
            admin,
            server: Server::new(&["main"]),
            now: Time::START,
            sessions: Vec::new(),
            script: Script::new(seed),
            translation: Translation::default(),
            log: vec![format!("seed {seed}")],
        };
        for _ in 0..SESSIONS {
            let both = pair.open().await?;
            pair.sessions.push(both);
        }
        let text: String = pair.admin.query_one("SELECT pg_current_snapshot()::text", &[]).await?.get(0);
        let theirs = Translation::default().read_snapshot(&text).xmax().0;
        pair.translation.offset = theirs.cast_signed() - pair.server.snapshot().xmax().0.cast_signed();
        Ok(pair)
    }

    /// Does one thing on both, and compares.
    pub async fn step(&mut self) -> Outcome {
        let at = self.script.random.below(SESSIONS as u64) as usize;
        match self.script.random.below(60) {
            0 => self.terminate(at).await?,
            1 if self.sessions[at].waits.is_none() => self.hang_up(at).await?,
            _ if self.sessions[at].waits.is_none() => self.statement(at).await?,
            _ => {}
        }
        self.go_on().await?;
        self.look().await?;
        if self.script.random.one_in(6) {
            self.hear().await?;
        }
        Ok(())
    }

    /// Compares which transactions run.
    async fn look(&self) -> Outcome {
        let text: String = self.admin.query_one("SELECT pg_current_snapshot()::text", &[]).await?.get(0);
        let (real, simulated) = (self.translation.read_snapshot(&text), self.server.snapshot());
        assert!(real == simulated, "simulated: {simulated}\nreal:      {real}{}", self.story());
        Ok(())
    }

    /// Ends what is open, and compares what is left.
    pub async fn end(&mut self) -> Outcome {
        self.hear().await?;
        for at in 0..SESSIONS {
            self.terminate(at).await?;
            self.go_on().await?;
        }
        for name in std::mem::take(&mut self.script.prepared) {
            self.run(0, Statement::RollbackPrepared(name)).await?;
        }
        let all: Vec<i64> = (1..=self.script.ids).collect();
        for statement in [
            Statement::Snapshot,
            Statement::Fetch(MAIN, all.clone()),
            Statement::Owed(MAIN, all.clone()),
            Statement::Forward(MAIN, all.clone()),
            Statement::Settled(MAIN, all),
            Statement::Cursor(MAIN),
            Statement::Drawn(MAIN),
        ] {
            self.run(0, statement).await?;
        }
        self.hear().await
    }

    /// Stops and starts both, or lets them fall. A commit of its own brings the log to the disk before.
    pub async fn restart(&mut self, mode: StopMode) -> Outcome {
        let free = self
            .sessions
            .iter()
            .position(|both| both.waits.is_none() && !self.server.is_in_transaction(both.simulated));
        let at = match free {
            Some(at) => at,
            None => {
                self.terminate(0).await?;
                self.go_on().await?;
                0
            }
        };
        let message = self.script.message();
        self.run(at, Statement::Publish(MAIN, vec![message])).await?;
        self.log.push(format!("{mode:?}"));
        self.cluster.restart(mode).await?;
        match mode {
            StopMode::Fast => self.server.restart(self.now),
            _ => self.server.crash(self.server.log_length(), self.now),
        }
        self.admin = self.database.connect().await?;
        for at in 0..SESSIONS {
            self.sessions[at] = self.open().await?;
        }
        for statement in [Statement::Snapshot, Statement::Drawn(MAIN), Statement::Draw(MAIN)] {
            self.run(0, statement).await?;
        }
        Ok(())
    }

    async fn open(&mut self) -> Outcome<Both> {
        let simulated = self.server.connect(self.now);
        let real = Session::open(&self.database).await?;
        self.translation.pids.insert(simulated.0, real.pid);
        Ok(Both { simulated, real, waits: None })
    }

    async fn statement(&mut self, at: usize) -> Outcome {
        let session = self.sessions[at].simulated;
        let in_transaction = self.server.is_in_transaction(session);
        let other = self.script.random.below(SESSIONS as u64) as usize;
        let pid = self.sessions[other].simulated.0;
        let statement = self.script.statement(in_transaction, pid, &self.server.snapshot());
        // On a copy first: of two that wait for the same, or for each other, chance decides which goes on.
        let mut trial = self.server.clone();
        let step = trial.execute(session, statement.clone(), self.now);
        let is_left_to_chance =
            step == Step::Waits && (trial.is_deadlocked(session) || self.is_waited_for(&trial, session));
        // The simulated server fails where the real one would wait for a hold that somebody has in hand.
        let fails = matches!(statement, Statement::SettleHolding(..) | Statement::Holds(..))
            && step == Step::Done(Err(SqlState::LOCK_NOT_AVAILABLE));
        if is_left_to_chance || fails {
            self.forget(&statement);
            return Ok(());
        }
        self.run(at, statement).await
    }

    /// True if another session waits for what this one waits for.
    fn is_waited_for(&self, server: &Server, session: SessionId) -> bool {
        let others = self.sessions.iter().map(|both| both.simulated).filter(|other| *other != session);
        others.into_iter().any(|other| {
            server.waits_for(other).is_some() && server.waits_for(other) == server.waits_for(session)
        })
    }

    async fn run(&mut self, at: usize, statement: Statement) -> Outcome {
        self.log.push(format!("{at}: {statement:?}"));
        let both = &mut self.sessions[at];
        both.real.send(&statement, &self.translation);
        let step = self.server.execute(both.simulated, statement.clone(), self.now);
        self.compare(at, statement, step).await
    }

    /// Goes on with what can go on.
    async fn go_on(&mut self) -> Outcome {
        while let Some(ready) = self.server.ready(self.now).first().copied() {
            let at = self.sessions.iter().position(|both| both.simulated == ready);
            let at = at.context("a session that is ready is one of ours")?;
            let statement = self.sessions[at].waits.take().context("it waited")?;
            let step = self.server.resume(ready, self.now);
            self.compare(at, statement, step).await?;
        }
        Ok(())
    }

    async fn compare(&mut self, at: usize, statement: Statement, step: Step) -> Outcome {
        let result = match step {
            Step::Done(result) => result,
            Step::Waits => {
                let session = self.sessions[at].simulated;
                match self.server.gives_up_at(session) {
                    // The real one gives up by itself.
                    Some(over) => {
                        self.now = over;
                        match self.server.resume(session, over) {
                            Step::Done(result) => result,
                            Step::Waits => panic!("it does not give up{}", self.story()),
                        }
                    }
                    None => {
                        self.log.push("  waits".into());
                        self.sessions[at].waits = Some(statement);
                        let waits = self.sessions[at].real.waits(&self.admin).await;
                        return waits.context(self.story());
                    }
                }
            }
        };
        self.learn(&statement, &result);
        let simulated =
            result.map(|answer| answer::of_simulation(&answer)).map_err(|state| state.0.to_owned());
        let real = self.sessions[at].real.result().await.context(self.story())?;
        let rolled_back = simulated.as_deref() == Ok(&["rolled back".to_owned()]);
        let same = if rolled_back { real == Ok(Vec::new()) } else { real == simulated };
        assert!(same, "simulated: {simulated:?}\nreal:      {real:?}{}", self.story());
        if simulated == Err(SqlState::ADMIN_SHUTDOWN.0.to_owned()) {
            self.sessions[at] = self.open().await?;
        }
        Ok(())
    }

    /// Ends a backend.
    async fn terminate(&mut self, at: usize) -> Outcome {
        self.log.push(format!("{at}: is terminated"));
        let both = &self.sessions[at];
        let pid = both.real.pid;
        self.admin.execute("SELECT pg_terminate_backend($1)", &[&pid]).await?;
        self.server.terminate(both.simulated);
        real::is_gone(&self.admin, pid).await?;
        if self.sessions[at].waits.is_none() {
            self.sessions[at] = self.open().await?;
        }
        Ok(())
    }

    /// The client is gone.
    async fn hang_up(&mut self, at: usize) -> Outcome {
        self.log.push(format!("{at}: hangs up"));
        let simulated = self.sessions[at].simulated;
        self.server.hang_up(simulated);
        let new = self.open().await?;
        let old = std::mem::replace(&mut self.sessions[at], new);
        let pid = old.real.pid;
        drop(old);
        real::is_gone(&self.admin, pid).await
    }

    /// Compares the notifications that have come to idle sessions.
    async fn hear(&mut self) -> Outcome {
        for both in &self.sessions {
            if both.waits.is_some() || self.server.is_in_transaction(both.simulated) {
                continue;
            }
            // Behind what was signalled before.
            both.real.client.simple_query("SELECT 1").await?;
            let notes = self.server.take_notes(both.simulated).into_iter();
            let simulated: Vec<String> =
                notes.map(|note| format!("{} {}", note.channel, note.payload)).collect();
            let real = both.real.take_notes();
            assert!(real == simulated, "heard, simulated: {simulated:?}\nreal: {real:?}{}", self.story());
        }
        Ok(())
    }

    fn learn(&mut self, statement: &Statement, result: &Result<Answer, SqlState>) {
        match (statement, result) {
            (Statement::Read(..), Ok(Answer::Page(page))) => {
                if let Some(cur) = &page.cur {
                    let last = page.rows.last().map(|(message, _)| (message.tx, message.id));
                    self.script.read(cur.clone(), last, page.rows.len());
                }
            }
            (Statement::Publish(..), Ok(Answer::Ids(ids))) => {
                self.script.ids = ids.iter().copied().fold(self.script.ids, i64::max);
            }
            (Statement::Draw(_), Ok(Answer::Number(id))) => {
                self.script.ids = self.script.ids.max(*id);
                self.script.drawn.push(*id);
            }
            (Statement::Prepare(_), Err(_) | Ok(Answer::RolledBack)) => self.forget(statement),
            (Statement::CommitPrepared(name) | Statement::RollbackPrepared(name), Err(_)) => {
                self.script.prepared.push(name.clone());
            }
            _ => {}
        }
    }

    /// A statement does not come about.
    fn forget(&mut self, statement: &Statement) {
        match statement {
            Statement::Prepare(name) => self.script.prepared.retain(|other| other != name),
            Statement::CommitPrepared(name) | Statement::RollbackPrepared(name) => {
                self.script.prepared.push(name.clone());
            }
            _ => {}
        }
    }

    /// The last steps.
    fn story(&self) -> String {
        let from = self.log.len().saturating_sub(60);
        format!("\n{}\n{}", self.log[0], self.log[from..].join("\n"))
    }
}
