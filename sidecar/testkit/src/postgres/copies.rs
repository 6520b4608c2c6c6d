//! Clusters that are made of another: a copy, a standby, the next major version's.

use std::os::unix::fs::symlink;

use super::*;

impl PostgresOptions {
    /// Makes a copy of a running cluster by `pg_basebackup`, and starts it beside the original.
    pub async fn start_copy_of(self, original: &Postgres) -> Outcome<Arc<Postgres>> {
        self.back_up(original, &[]).await
    }

    /// Makes a copy of a running cluster and starts it as a standby, which follows the original
    /// asynchronously.
    pub async fn start_standby_of(self, original: &Postgres) -> Outcome<Arc<Postgres>> {
        self.back_up(original, &["--write-recovery-conf"]).await
    }

    async fn back_up(self, original: &Postgres, more: &[&str]) -> Outcome<Arc<Postgres>> {
        let folder = new_folder()?;
        // Its data belongs to the account that the server runs as.
        original.account.own(&folder)?;
        let output = original
            .command("pg_basebackup")
            .arg(format!("--dbname={}", original.superuser_url("postgres")))
            .arg("--pgdata")
            .arg(folder.join("data"))
            .args(["--checkpoint=fast", "--no-sync", "--wal-method=stream"])
            .args(more)
            .output()
            .context("running pg_basebackup")?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::new(format!("pg_basebackup failed: {text}")));
        }
        self.serve(Installation::current()?, folder, original.role_password.clone()).await
    }

    /// Stops a cluster and makes its successor by `pg_upgrade`, as for a new major version: all
    /// data, under another system identifier.
    pub async fn start_upgrade_of(self, original: &Postgres) -> Outcome<Arc<Postgres>> {
        original.stop(StopMode::Fast).await?;
        let folder = new_folder()?;
        original.account.own(&folder)?;
        let installation = Installation::current()?;
        let new = folder.join("data");
        installation.initialise(&new)?;
        // One folder with all programs: those that look for the extension are the installation's.
        let programs = folder.join("programs");
        fs::create_dir(&programs)?;
        for program in ["postgres", "initdb", "pg_ctl"] {
            symlink(installation.program(program), programs.join(program))?;
        }
        for program in
            ["pg_controldata", "pg_resetwal", "pg_dump", "pg_dumpall", "pg_restore", "psql", "vacuumdb"]
        {
            symlink(installation.client_program(program), programs.join(program))?;
        }
        let output = original
            .account
            .command(&installation.client_program("pg_upgrade"))
            .current_dir(&folder)
            .env_remove("RUST_BACKTRACE")
            .env("PGPASSWORD", installation.password())
            .arg("--username=postgres")
            .arg(format!("--old-bindir={}", programs.display()))
            .arg(format!("--new-bindir={}", programs.display()))
            .arg(format!("--old-datadir={}", original.data().display()))
            .arg(format!("--new-datadir={}", new.display()))
            .arg(format!("--socketdir={}", folder.display()))
            .arg(format!("--old-port={}", free_port()?))
            .arg(format!("--new-port={}", free_port()?))
            .output()
            .context("running pg_upgrade")?;
        if !output.status.success() {
            let [said, failed] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
            return Err(Failure::new(format!("pg_upgrade failed: {said}{failed}")));
        }
        self.serve(installation, folder, original.role_password.clone()).await
    }
}

impl Postgres {
    /// Waits until this standby has all that its original has written by now.
    pub async fn catch_up(&self, original: &Postgres) -> Outcome {
        let there = connect(&original.superuser_url("postgres")).await?;
        let written: String = there.query_one("SELECT pg_current_wal_lsn()::text", &[]).await?.get(0);
        let here = connect(&self.superuser_url("postgres")).await?;
        let has = "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn";
        eventually("the standby has caught up", async || Ok(here.query_one(has, &[&written]).await?.get(0)))
            .await
    }

    /// Cuts this standby off: later commits of its original do not come any more.
    pub async fn fall_behind(&self) -> Outcome {
        let here = connect(&self.superuser_url("postgres")).await?;
        here.batch_execute("ALTER SYSTEM SET primary_conninfo = ''").await?;
        here.batch_execute("SELECT pg_reload_conf()").await?;
        eventually("the standby receives no more", async || {
            Ok(here.query_opt("SELECT FROM pg_stat_wal_receiver WHERE pid IS NOT NULL", &[]).await?.is_none())
        })
        .await
    }

    /// Makes this standby the primary, on a timeline of its own.
    pub async fn promote(&self) -> Outcome {
        let here = connect(&self.superuser_url("postgres")).await?;
        match here.query_one("SELECT pg_promote()", &[]).await?.get(0) {
            true => Ok(()),
            false => Err(Failure::new("the standby was not promoted").with_log(self.log_path())),
        }
    }
}
