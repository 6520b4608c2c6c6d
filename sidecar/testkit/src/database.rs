//! One database of a test, with the extension in it.

use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::Client;

use crate::failure::{Context, Failure, Outcome};
use crate::paths;
use crate::postgres::{Postgres, connect};

static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A database of its own in a cluster that others may use too.
#[derive(Clone)]
pub struct Database {
    cluster: Arc<Postgres>,
    name: String,
}

impl Postgres {
    /// A new database in this cluster, with the extension and no service yet.
    pub async fn database(self: &Arc<Self>) -> Outcome<Database> {
        Database::make(self.clone(), None).await
    }

    /// A new database in this cluster as an earlier release made it, with the library of this one.
    pub async fn database_of(self: &Arc<Self>, release: &str) -> Outcome<Database> {
        Database::make(self.clone(), Some(release)).await
    }
}

impl Database {
    /// A database with the extension of this release, or of the one that is named.
    async fn make(cluster: Arc<Postgres>, release: Option<&str>) -> Outcome<Database> {
        let version = release.map_or(String::new(), |release| format!(" VERSION '{release}'"));
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        {
            let _alone = cluster.making.lock().await;
            let admin = connect(&cluster.superuser_url("postgres")).await?;
            admin.batch_execute(&format!("CREATE DATABASE {name}")).await.context("creating a database")?;
            let database = connect(&cluster.superuser_url(&name)).await?;
            let create = format!("CREATE EXTENSION pg_tpro{version}");
            database.batch_execute(&create).await.context("creating the extension")?;
        }
        Ok(Database { cluster, name })
    }

    /// This database in a copy of the cluster.
    pub fn in_copy(&self, cluster: Arc<Postgres>) -> Database {
        Database { cluster, name: self.name.clone() }
    }

    /// A dump of it, restored in another cluster under its name: by pg_dump and psql, as people do
    /// it. The roles of its services must be there.
    pub fn restore_in(&self, cluster: Arc<Postgres>) -> Outcome<Database> {
        let mut dump = self
            .cluster
            .client_program("pg_dump")
            .args(["--create", &self.url()])
            .stdout(Stdio::piped())
            .spawn()
            .context("running pg_dump")?;
        let dumped = dump.stdout.take().context("pg_dump has no output")?;
        let restored = cluster
            .client_program("psql")
            .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", &cluster.superuser_url("postgres")])
            .stdin(dumped)
            .output()
            .context("running psql")?;
        if dump.wait()?.success() && restored.status.success() {
            return Ok(self.in_copy(cluster));
        }
        let text = String::from_utf8_lossy(&restored.stderr);
        Err(Failure::new(format!("a dump was not restored: {text}")))
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster it is in.
    pub fn cluster(&self) -> &Arc<Postgres> {
        &self.cluster
    }

    /// The superuser's URL.
    pub fn url(&self) -> String {
        self.cluster.superuser_url(&self.name)
    }

    /// The URL of a login role made by [`Database::create_service`] or [`Database::create_role`].
    pub fn role_url(&self, role: &str) -> String {
        self.cluster.role_url(role, &self.name)
    }

    /// A session of the superuser.
    pub async fn connect(&self) -> Outcome<Client> {
        connect(&self.url()).await.context(format!("connecting to {}", self.name))
    }

    /// A session of a login role.
    pub async fn connect_as(&self, role: &str) -> Outcome<Client> {
        connect(&self.role_url(role)).await.context(format!("connecting to {} as {role}", self.name))
    }

    /// Makes a service and its login role, as `make create-sql-NAME` does: by psql and
    /// `sql/login.sql`.
    pub async fn create_service(&self, service: &str) -> Outcome {
        let _alone = self.cluster.making.lock().await;
        self.psql("sql/login.sql", &[("name", service)]).map(drop)
    }

    /// Makes a service and its login role as an earlier release made them: from the template that
    /// was frozen with it.
    pub async fn create_service_of(&self, release: &str, service: &str) -> Outcome {
        let _alone = self.cluster.making.lock().await;
        let script = released_service(release, service)?;
        let admin = self.connect().await?;
        admin
            .batch_execute(&script)
            .await
            .context(format!("making service {service} of release {release}"))?;
        create_role(&admin, service, self.cluster.role_password()).await?;
        // As that release's sql/login.sql.
        let login = format!(
            "GRANT {service}_sidecar, {service}_publisher TO {service};
             ALTER ROLE {service} IN DATABASE {} SET tpro.sender = '{service}'",
            self.name
        );
        admin.batch_execute(&login).await.context(format!("making the login of {service}"))
    }

    /// The people who can log in through `analytic`.
    pub async fn load_demo(&self) -> Outcome {
        let _alone = self.cluster.making.lock().await;
        self.psql("sql/demo.sql", &[]).map(drop)
    }

    /// Undoes [`Database::create_service`], as `make down-all-NAME` does: by psql and
    /// `sql/logout.sql`. Returns the output of psql.
    pub async fn forget_service(&self, service: &str) -> Outcome<String> {
        let _alone = self.cluster.making.lock().await;
        self.psql("sql/logout.sql", &[("name", service)])
    }

    /// Runs a script of the checkout by psql, as the superuser. Returns the standard error of psql.
    pub fn psql(&self, script: &str, variables: &[(&str, &str)]) -> Outcome<String> {
        let mut psql = self.cluster.client_program("psql");
        psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]);
        psql.env("LOGIN_PASSWORD", self.cluster.role_password());
        psql.arg("--file").arg(paths::checkout().join(script));
        for (name, value) in variables {
            psql.arg(format!("--set={name}={value}"));
        }
        let output = psql.arg(self.url()).output().context("running psql")?;
        let text = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            return Ok(text.into_owned());
        }
        Err(Failure::new(format!("{script} failed: {text}")))
    }

    /// Makes a login role without any right, if the cluster has none of that name.
    pub async fn create_role(&self, role: &str) -> Outcome {
        let admin = self.connect().await?;
        let _alone = self.cluster.making.lock().await;
        create_role(&admin, role, self.cluster.role_password()).await
    }
}

/// The script that made a service in an earlier release: the template that was frozen with it, in a
/// transaction and with the search path of tpro.create_service(), which ran it.
pub fn released_service(release: &str, service: &str) -> Outcome<String> {
    let path = paths::checkout().join(format!("sql/released/service--{release}.sql"));
    let template = fs::read_to_string(&path).context(format!("reading {}", path.display()))?;
    let script = ["schema", "publisher", "sidecar", "maintainer"]
        .iter()
        .map(|part| (format!("@{part}@"), format!("{service}_{}", part.replace("schema", "service"))))
        .fold(template, |script, (mark, name)| script.replace(&mark, &name));
    Ok(format!("BEGIN; SET LOCAL search_path = pg_catalog, pg_temp; {script}; COMMIT;\n"))
}

async fn create_role(admin: &Client, role: &str, password: &str) -> Outcome {
    if admin.query_opt("SELECT FROM pg_roles WHERE rolname = $1", &[&role]).await?.is_none() {
        admin
            .batch_execute(&format!("CREATE ROLE {role} LOGIN PASSWORD '{password}'"))
            .await
            .context(format!("creating role {role}"))?;
    }
    Ok(())
}
