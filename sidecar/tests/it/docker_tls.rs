//! TLS from copies in containers, by the files that a `.env` on this machine names.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use tpro_local::docker::engine;
use tpro_testkit::certificates::{Wanted, secret};
use tpro_testkit::proxy::Proxy;
use tpro_testkit::{Context as _, Nats, Outcome, World};

use crate::login;
use crate::make_docker::{BASE, Installation};
use crate::nkeys::{Key, USER};
use crate::tls::{Files, only_with_certificates, text};

/// This machine, as containers call it.
const HOST: &str = "host.docker.internal";

/// The address of this machine for containers.
fn gateway(here: &Installation) -> Outcome<IpAddr> {
    let name = format!("{HOST}:host-gateway");
    let line =
        engine::ask(&here.local()?, &["run", "--rm", "--add-host", &name, BASE, "getent", "hosts", HOST])?;
    Ok(line.split_whitespace().next().context("the engine names no address of this machine")?.parse()?)
}

/// A service whose servers let nobody in without a certificate.
struct Service<'a> {
    here: &'a Installation,
    world: &'a World,
    files: &'a Files,
    name: &'static str,
    /// The ports of PostgreSQL and NATS for containers.
    ports: (u16, u16),
}

impl Service<'_> {
    /// The folder of its certificate, as its settings name it.
    fn folder(&self) -> PathBuf {
        self.here.checkout.root.join("keys").join(self.name)
    }

    /// Issues its certificate.
    fn has(&self, wanted: Wanted<'_>) -> Outcome {
        let own = self.files.authority.issue(self.name, wanted)?;
        fs::create_dir_all(self.folder())?;
        fs::copy(self.files.authority.file(), self.folder().join("ca.pem"))?;
        fs::copy(&own.certificate, self.folder().join("own.crt"))?;
        fs::copy(&own.key, self.folder().join("own.key"))?;
        Ok(())
    }

    /// Writes its settings. The files of PostgreSQL are named as `of_postgres` has it.
    fn settings(&self, key: &Key, of_address: &str, of_postgres: &str) -> Outcome {
        let Service { here, name, ports: (postgres, nats), .. } = self;
        let url = self.world.database.role_url(name);
        let url = url.replace(
            &format!("127.0.0.1:{}", self.world.database.cluster().port()),
            &format!("{HOST}:{postgres}"),
        );
        secret(&self.folder().join("seed.nk"), &key.seed)?;
        let lines = [
            format!("DATABASE_URL='{url}{of_address}'"),
            of_postgres.to_owned(),
            format!("NATS_URL=tls://{HOST}:{nats}"),
            format!("NATS_CA=keys/{name}/ca.pem"),
            format!("NATS_CERT=keys/{name}/own.crt"),
            format!("NATS_KEY=keys/{name}/own.key"),
            format!("NATS_NKEY=keys/{name}/seed.nk"),
            // There is no collector, and none is started.
            format!("OTEL_EXPORTER_OTLP_ENDPOINT=http://{HOST}:9"),
        ];
        secret(&here.checkout.root.join("services").join(name).join(".env"), &(lines.join("\n") + "\n"))
    }
}

#[tpro_testkit::test]
async fn copies_in_containers_speak_tls_by_the_files_that_their_settings_name() -> Outcome {
    let Some(here) = Installation::new("tls")? else { return Ok(()) };
    let (files, key) = (Files::new()?, Key::new(USER)?);
    let nats = Nats::options().line(&files.nats_lines()).user(&format!("{{ nkey: \"{}\" }}", key.public));
    let world = World::options().cluster(files.cluster().await?).nats(nats).start().await?;
    world.database.load_demo().await?;
    only_with_certificates(&world).await?;
    let gateway = gateway(&here)?;
    let postgres = Proxy::start_at(gateway, world.database.cluster().port()).await?;
    let nats = Proxy::start_at(gateway, world.nats.port()).await?;
    let ports = (postgres.port(), nats.port());
    let service = |name| Service { here: &here, world: &world, files: &files, name, ports };
    let (main, analytic) = (service("main"), service("analytic"));

    // One names its files in the address, from the checkout on; the other by variables.
    main.has(Wanted::client("main"))?;
    let of_address = "?sslmode=verify-full&sslrootcert=keys/main/ca.pem&sslcert=keys/main/own.crt&sslkey=keys/main/own.key";
    main.settings(&key, of_address, "")?;
    analytic.has(Wanted::client("analytic"))?;
    let folder = analytic.folder();
    let folder = text(&folder);
    let of_postgres = format!(
        "PGSSLMODE=verify-full\nPGSSLROOTCERT='{folder}/ca.pem'\nPGSSLCERT='{folder}/own.crt'\nPGSSLKEY='{folder}/own.key'"
    );
    analytic.settings(&key, "", &of_postgres)?;

    // A file that is not there is told before there is a container.
    let own_key = main.folder().join("own.key");
    let aside = main.folder().join("aside.key");
    fs::rename(&own_key, &aside)?;
    let (well, told) = here.checkout.call("make", &["up-main"], &[])?;
    let line = "sslkey=keys/main/own.key of main, a parameter of DATABASE_URL: there is no file of this name";
    assert!(
        !well && told.contains("NATS_KEY=keys/main/own.key of main: there is no file of this name"),
        "{told}"
    );
    let lines = fs::read_to_string(here.checkout.root.join("services/main/.env"))?;
    let without = lines.replace("NATS_KEY=keys/main/own.key", "NATS_KEY=keys/main/aside.key");
    secret(&here.checkout.root.join("services/main/.env"), &without)?;
    let (well, told) = here.checkout.call("make", &["up-main"], &[])?;
    assert!(!well && told.contains(line), "{told}");
    let local = here.local()?;
    assert_eq!(engine::try_ask(&local, &["inspect", &here.container("main", 1)]), None);
    fs::rename(&aside, &own_key)?;
    secret(&here.checkout.root.join("services/main/.env"), &lines)?;

    here.well("up-main", "1.0")?;
    here.well("up-analytic", "1.0")?;
    assert_eq!(world.ask(&login::request("simple")).await?.status, "ok");

    // Everybody who may ask the engine sees this.
    let everything = engine::ask(&local, &["inspect", &here.container("main", 1)])?;
    let body = fs::read_to_string(&own_key)?;
    for line in [key.seed.as_str(), body.lines().nth(1).context("a key has a body")?] {
        assert!(!everything.contains(line), "a key is in docker inspect");
    }

    // A copy that finds its certificate expired says so in one line, and the one before goes on.
    main.has(Wanted::client("main").expired())?;
    let port = tpro_testkit::ports::free_port()?.to_string();
    let variables = [("SERVICE_PORT", &*port), ("SERVICE_VERSION", "1.0")];
    let (well, told) = here.checkout.call("make", &["roll-main"], &variables)?;
    assert!(!well, "{told}");
    for setting in ["sslcert=/run/tpro/files/sslcert", "NATS_CERT=/run/tpro/files/NATS_CERT"] {
        let is_clear = |line: &str| line.contains(setting) && line.contains("has expired; renew it");
        assert!(told.lines().any(is_clear), "{told}");
    }
    assert_eq!(world.ask(&login::request("simple")).await?.status, "ok");

    // One with a renewed certificate takes its place.
    main.has(Wanted::client("main"))?;
    let told = here.well("roll-main", "1.0")?;
    assert!(told.contains("main  is version 1.0 now (1 replaced)"), "{told}");
    assert_eq!(world.ask(&login::request("simple")).await?.status, "ok");
    here.well("down", "1.0")?;
    let handed = here.checkout.root.join(".local/docker/private/services");
    let left: Vec<_> = fs::read_dir(&handed)?.collect::<Result<_, _>>()?;
    assert!(left.is_empty(), "{left:?}");
    world.finish(&[]).await?;
    Ok(())
}
