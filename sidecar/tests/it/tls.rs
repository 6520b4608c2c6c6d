//! TLS between copies, PostgreSQL and NATS, with certificates on all sides.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tpro_testkit::account::Account;
use tpro_testkit::certificates::{Authority, Certificate, Wanted};
use tpro_testkit::{Outcome, Postgres, Sidecar, SidecarProcess, Signal, World, eventually, paths};

use crate::login;
use crate::rogue::Rogue;

static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// The names of the servers: of this machine for itself, and for containers on it.
const HOSTS: [&str; 2] = ["127.0.0.1", "host.docker.internal"];

/// A folder with an authority and its certificates.
pub struct Files {
    /// The folder.
    pub folder: PathBuf,
    /// The authority of all servers and copies.
    pub authority: Authority,
    /// The certificate of PostgreSQL, whose key is its account's.
    pub postgres: Certificate,
    /// The certificate of nats-server.
    pub nats: Certificate,
}

impl Files {
    pub fn new() -> Outcome<Files> {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder = paths::run_root()?.join(format!("tls-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let authority = Authority::new(&folder, "authority")?;
        let postgres = authority.issue("postgres", Wanted::server(&HOSTS))?;
        let nats = authority.issue("nats", Wanted::server(&HOSTS))?;
        Account::of_postgres()?.own(&postgres.key)?;
        Ok(Files { folder, authority, postgres, nats })
    }

    /// A cluster with TLS.
    pub async fn cluster(&self) -> Outcome<Arc<Postgres>> {
        Postgres::own()
            .set("ssl", "on")
            .set("ssl_cert_file", text(&self.postgres.certificate))
            .set("ssl_key_file", text(&self.postgres.key))
            .set("ssl_ca_file", text(self.authority.file()))
            .start()
            .await
    }

    /// The lines of a nats-server that wants a certificate from everybody.
    pub fn nats_lines(&self) -> String {
        let Certificate { certificate, key } = &self.nats;
        format!(
            "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", verify: true }}",
            text(certificate),
            text(key),
            text(self.authority.file())
        )
    }

    /// A copy that speaks to nobody without TLS, and shows this certificate.
    pub fn with(&self, sidecar: Sidecar, world: &World, own: &Certificate) -> Sidecar {
        let (ca, certificate, key) = (text(self.authority.file()), text(&own.certificate), text(&own.key));
        let url = format!("tls://127.0.0.1:{}", world.nats.port());
        let settings = [
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", ca),
            ("PGSSLCERT", certificate),
            ("PGSSLKEY", key),
            ("NATS_URL", url.as_str()),
            ("NATS_CA", ca),
            ("NATS_CERT", certificate),
            ("NATS_KEY", key),
        ];
        settings.into_iter().fold(sidecar, |sidecar, (key, value)| sidecar.env(key, value))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

/// Has the server take `main`, `analytic` and `co` only with TLS and with a certificate for that
/// name. Sessions that are open stay.
pub async fn only_with_certificates(world: &World) -> Outcome {
    let rules = world.database.cluster().data().join("pg_hba.conf");
    let before = std::fs::read_to_string(&rules)?;
    let whom = "all main,analytic,co 127.0.0.1/32";
    let first = format!("hostssl {whom} scram-sha-256 clientcert=verify-full\nhostnossl {whom} reject\n");
    std::fs::write(&rules, first + &before)?;
    world.admin.batch_execute("SELECT pg_reload_conf()").await?;
    eventually("the server lets nobody in without TLS", async || {
        Ok(world.database.connect_as("main").await.is_err())
    })
    .await
}

/// A world that lets nobody in without a certificate.
pub async fn world(files: &Files) -> Outcome<World> {
    let nats = tpro_testkit::Nats::options().line(&files.nats_lines());
    let world = World::options().cluster(files.cluster().await?).nats(nats).start().await?;
    world.database.load_demo().await?;
    only_with_certificates(&world).await?;
    Ok(world)
}

/// Starts a copy with a certificate of its own.
async fn start(files: &Files, world: &World, service: &str) -> Outcome<Arc<SidecarProcess>> {
    let own = files.authority.issue(service, Wanted::client(service))?;
    // The login is bound to the connection, or it is refused.
    let url = format!("{}?channel_binding=require", world.database.role_url(service));
    let copy = files.with(world.sidecar(service)?, world, &own).env("DATABASE_URL", url);
    world.start(copy).await
}

/// The sessions of copies: all, and those with TLS and a certificate.
async fn sessions(world: &World) -> Outcome<(i64, i64)> {
    let sql = "SELECT count(*), count(*) FILTER (WHERE ssl AND client_dn IS NOT NULL) \
               FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name LIKE 'tpro/%'";
    let row = world.admin.query_one(sql, &[]).await?;
    Ok((row.get(0), row.get(1)))
}

/// The connections of copies to NATS: all, and those with TLS.
async fn connections(world: &World) -> Outcome<(usize, usize)> {
    let page = world.nats.monitor("/connz").await?;
    let mut all = page["connections"].as_array().cloned().unwrap_or_default();
    // Those of clients that have said their name: their handshake is over.
    all.retain(|it| it["name"].as_str().is_some_and(|name| name.starts_with("tpro/")));
    Ok((all.len(), all.iter().filter(|it| it["tls_version"].is_string()).count()))
}

#[tpro_testkit::test]
async fn a_message_is_answered_over_tls_with_certificates_on_all_sides() -> Outcome {
    let files = Files::new()?;
    let world = world(&files).await?;
    let main = start(&files, &world, "main").await?;
    let analytic = start(&files, &world, "analytic").await?;
    assert_eq!(world.ask(&login::request("simple")).await?.status, "ok");
    let (all, with_tls) = sessions(&world).await?;
    assert!(all >= 4 && with_tls == all, "{with_tls} of {all} sessions have TLS");
    let (all, with_tls) = connections(&world).await?;
    assert!(all >= 2 && with_tls == all, "{with_tls} of {all} connections have TLS");

    // Both servers go and come back, and the copies with them.
    world.nats.kill().await?;
    world.nats.start().await?;
    eventually("both copies are at NATS again", async || Ok(connections(&world).await?.1 >= 2)).await?;
    assert_eq!(world.ask(&login::request("simple")).await?.status, "ok");
    world.finish(&[&main, &analytic]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_statement_is_cancelled_over_tls() -> Outcome {
    let files = Files::new()?;
    let cluster = files.cluster().await?;
    let world = World::options().services(&["main", "rogue"]).cluster(cluster.clone()).start().await?;
    world.admin.batch_execute(Rogue::EFFECTS).await?;
    let rules = cluster.data().join("pg_hba.conf");
    let before = std::fs::read_to_string(&rules)?;
    std::fs::write(&rules, format!("hostnossl all rogue 127.0.0.1/32 reject\n{before}"))?;
    world.admin.batch_execute("SELECT pg_reload_conf()").await?;
    eventually("the server lets nobody in without TLS", async || {
        Ok(world.database.connect_as("rogue").await.is_err())
    })
    .await?;
    let main = world.run("main").await?;
    let copy = || {
        let copy = Rogue::copy(&world, 1)?.env("PGSSLMODE", "verify-full").env("STOP_TIMEOUT", 0);
        Outcome::Ok(copy.env("PGSSLROOTCERT", text(files.authority.file())))
    };
    let rogue = world.start(copy()?).await?;
    let lock = Rogue::hold(&world).await?;
    let request = Rogue::request("transactional.effect", Rogue::held()).timeout(600);
    let id = world.publish(&request).await?;
    Rogue::waiting(&world, 1).await?;
    // The handler is stopped with the copy. Nobody else ends its statement, which waits on.
    rogue.signal(Signal::TERM)?;
    rogue.wait().await?;
    Rogue::waiting(&world, 0).await?;
    drop(lock);
    let rogue = world.start(copy()?).await?;
    assert_eq!(world.await_reply(id).await?.status, "ok");
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_certificate_that_expires_is_named_while_a_copy_runs_and_a_new_one_needs_no_restart() -> Outcome {
    let files = Files::new()?;
    let world = world(&files).await?;
    let main = start(&files, &world, "main").await?;
    let good = (std::fs::read(&files.nats.certificate)?, std::fs::read(&files.nats.key)?);
    // The server comes back with another certificate.
    files.authority.issue("nats", Wanted::server(&["127.0.0.1"]).expired())?;
    world.nats.kill().await?;
    world.nats.start().await?;
    eventually("the copy names what is wrong", async || {
        let ready = main.get("/readyz").await?;
        Ok(ready.status == 503 && ready.body.contains("has expired") && ready.body.contains("NATS_URL"))
    })
    .await?;
    std::fs::write(&files.nats.certificate, good.0)?;
    std::fs::write(&files.nats.key, good.1)?;
    world.nats.kill().await?;
    world.nats.start().await?;
    main.ready().await?;

    // Our own one, which each connection reads again.
    let own = files.authority.issue("main", Wanted::client("main").expired())?;
    world.nats.kill().await?;
    world.nats.start().await?;
    eventually("the copy names its own certificate", async || {
        let ready = main.get("/readyz").await?;
        Ok(ready.status == 503 && ready.body.contains(text(&own.certificate)))
    })
    .await?;
    files.authority.issue("main", Wanted::client("main"))?;
    main.ready().await?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_command_tpro_speaks_tls_by_the_same_settings() -> Outcome {
    let files = Files::new()?;
    let cluster = files.cluster().await?;
    let world = World::options().services(&["main"]).cluster(cluster.clone()).start().await?;
    let stranger = Authority::new(&files.folder, "stranger")?;
    let status = |root: &Path| {
        let mut tpro = Command::new(paths::binary("tpro", "tpro")?);
        tpro.arg("status").env_clear().env("DATABASE_URL", world.database.url());
        Outcome::Ok(tpro.env("PGSSLMODE", "verify-full").env("PGSSLROOTCERT", root).output()?)
    };
    // Everybody is to come with TLS, the superuser too.
    let rules = cluster.data().join("pg_hba.conf");
    let before = std::fs::read_to_string(&rules)?;
    std::fs::write(&rules, format!("hostnossl all all 127.0.0.1/32 reject\n{before}"))?;
    world.admin.batch_execute("SELECT pg_reload_conf()").await?;
    eventually("nobody gets in without TLS", async || Ok(world.database.connect().await.is_err())).await?;
    let asked = status(files.authority.file())?;
    let said = String::from_utf8_lossy(&asked.stdout);
    assert!(said.contains("main"), "{said} {}", String::from_utf8_lossy(&asked.stderr));
    let refused = status(stranger.file())?;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("PGSSLROOTCERT") && said.trim_end().lines().count() == 1, "{said}");
    world.finish(&[]).await?;
    Ok(())
}
