//! One database of a test, with the extension in it.

use std::fs;
use std::path::Path;
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

impl Database {
    pub(crate) async fn make(cluster: Arc<Postgres>) -> Outcome<Database> {
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        {
            let _alone = cluster.making.lock().await;
            let admin = connect(&cluster.superuser_url("postgres")).await?;
            admin.batch_execute(&format!("CREATE DATABASE {name}")).await.context("creating a database")?;
            let database = connect(&cluster.superuser_url(&name)).await?;
            database.batch_execute("CREATE EXTENSION pg_tpro").await.context("creating the extension")?;
        }
        Ok(Database { cluster, name })
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

    /// Makes a service, and the login role of the same name that its sidecar and its publishers use in this project's own
    /// clusters.
    pub async fn create_service(&self, service: &str) -> Outcome {
        let admin = self.connect().await?;
        let _alone = self.cluster.making.lock().await;
        admin
            .execute("SELECT tpro.create_service($1)", &[&service])
            .await
            .context(format!("creating service {service}"))?;
        create_role(&admin, service, self.cluster.role_password()).await?;
        admin
            .batch_execute(&format!(
                "GRANT {service}_sidecar, {service}_publisher TO {service};
                 ALTER ROLE {service} IN DATABASE {name} SET tpro.sender = '{service}'",
                name = self.name
            ))
            .await
            .context(format!("granting the roles of service {service}"))
    }

    /// Runs the scripts of a service's own folder `sql`, as `make create-sql-NAME` does: by psql, as the service's role.
    pub async fn load_service(&self, service: &str) -> Outcome {
        let folder = paths::checkout().join("services").join(service).join("sql");
        let Ok(entries) = fs::read_dir(&folder) else { return Ok(()) };
        let mut scripts = Vec::new();
        for entry in entries {
            let path = entry?.path();
            scripts.extend((path.extension() == Some("sql".as_ref())).then_some(path));
        }
        scripts.sort();
        for script in scripts {
            self.psql(&self.role_url(service), &script, &[])?;
        }
        Ok(())
    }

    /// Runs a script by psql, with variables.
    fn psql(&self, url: &str, script: &Path, variables: &[(&str, &str)]) -> Outcome {
        let mut psql = self.cluster.client_program("psql");
        psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]).arg("--file").arg(script);
        for (name, value) in variables {
            psql.arg(format!("--set={name}={value}"));
        }
        let output = psql.arg(url).output().context("running psql")?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        Err(Failure::new(format!("{} failed: {text}", script.display())))
    }

    /// Makes a login role without any right, if the cluster has none of that name.
    pub async fn create_role(&self, role: &str) -> Outcome {
        let admin = self.connect().await?;
        let _alone = self.cluster.making.lock().await;
        create_role(&admin, role, self.cluster.role_password()).await
    }
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
