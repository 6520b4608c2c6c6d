//! The commands of `make` with RUNTIME=docker, on an engine that answers here. Where none does, the test says so and ends.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::{Value, json};
use tpro_local::docker::{engine, image, sql};
use tpro_local::settings::Settings;
use tpro_testkit::ports::free_port;
use tpro_testkit::{Context as _, Outcome, paths};

use crate::make_commands::Checkout;
use crate::make_roll::copy;

/// The image that no test can pull: docker/test/base-image.sh makes it.
pub const BASE: &str = "debian:bookworm-slim";
/// The messages that are published while copies are replaced, and the size of a part of them.
const MESSAGES: usize = 1000;
const PART: usize = 50;

/// A checkout whose installation lies in containers of names of its own. It goes with the test.
pub struct Installation {
    pub checkout: Checkout,
    pub project: String,
}

impl Installation {
    /// An installation of this name; none where there can be no containers, which it says.
    pub fn new(name: &str) -> Outcome<Option<Installation>> {
        let here = Installation::prepare(name)?;
        if let Some(missing) = missing(&here.local()?) {
            // Not by a macro, whose output the harness keeps to itself.
            writeln!(std::io::stderr(), "SKIPPED: no container was tested: {missing}")?;
            return Ok(None);
        }
        Ok(Some(here))
    }

    fn prepare(name: &str) -> Outcome<Installation> {
        let checkout = Checkout::new(&format!("docker-{name}"))?.with_programs()?;
        for service in ["main", "analytic"] {
            let folder = format!("services/{service}");
            copy(&paths::checkout().join(&folder), &checkout.root.join(&folder))?;
            let _ = std::fs::remove_file(checkout.root.join(folder).join(".env"));
        }
        let project = format!("tprotest{name}{}", std::process::id());
        let mut checkout = checkout
            .env("RUNTIME", "docker")
            .env("BINARIES", "given")
            .env("PROJECT_NAME", &project)
            .env("MODE", "test")
            .env("UP_TIMEOUT", 300);
        for port in ["PG_PORT", "NATS_PORT", "NATS_MONITOR_PORT", "OTLP_PORT", "JAEGER_PORT"] {
            checkout = checkout.env(port, free_port()?);
        }
        for kept in ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"] {
            if let Ok(value) = std::env::var(kept) {
                checkout = checkout.env(kept, value);
            }
        }
        Ok(Installation { checkout, project })
    }

    /// The same checkout, as the commands see it.
    pub fn local(&self) -> Outcome<tpro_local::checkout::Checkout> {
        let mut settings = Settings::default();
        self.checkout.environment.iter().for_each(|(name, value)| settings.set(name, value));
        Ok(tpro_local::checkout::Checkout::open(self.checkout.root.clone(), settings)?)
    }

    /// A command that must succeed, with a port for the copy that it may start.
    pub fn well(&self, goal: &str, version: &str) -> Outcome<String> {
        let port = free_port()?.to_string();
        let variables = [("SERVICE_PORT", &*port), ("SERVICE_VERSION", version)];
        let (well, told) = self.checkout.call("make", &[goal], &variables)?;
        assert!(well, "make {goal} failed: {told}");
        Ok(told)
    }

    /// Has the next image of a service differ from the last one.
    fn changes_image(&self) -> Outcome {
        let path = self.checkout.root.join("docker/Dockerfile");
        let text = std::fs::read_to_string(&path)?;
        let line = "ENTRYPOINT [\"/service\"]";
        assert!(text.contains(line), "{text}");
        Ok(std::fs::write(path, text.replace(line, &format!("LABEL build=again\n{line}")))?)
    }

    /// The name of the container of a copy.
    pub fn container(&self, service: &str, number: u32) -> String {
        format!("{service}-{number}_{}_nats_service_1", self.project)
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        // A test that failed has left all of it.
        let _ = self.checkout.call("make", &["clean"], &[]);
        let all = Command::new("docker").args(["images", "--format", "{{.Repository}}:{{.Tag}}"]).output();
        let Ok(all) = all else { return };
        let all = String::from_utf8_lossy(&all.stdout).into_owned();
        let ours = all.lines().filter(|image| image.contains(&self.project));
        let mut remove = Command::new("docker");
        remove.args(["image", "rm", "--force"]).args(ours);
        let _ = remove.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// The statement by which main asks analytic so many times to log somebody in.
pub fn publish(messages: usize) -> String {
    format!(
        "SELECT count(*) FROM tpro.publish_many(array_to_json(array_fill('{{}}'::json, ARRAY[{messages}]))::jsonb, \
         'analytic', 'example', 'simple', \
         '{{\"ip\":\"172.19.0.8\", \"login\":\"login342\", \"password\":\"phnd26w\"}}', sender => 'main', timeout => 300)"
    )
}

/// The containers that `docker inspect` shows.
fn containers(inspected: &str) -> Outcome<Vec<Value>> {
    Ok(serde_json::from_str(inspected)?)
}

/// A container has a user with a number and without rights, writes where it must and nowhere else,
/// and is reached from this machine only.
fn confined(container: &Value) -> Outcome {
    let (config, host) = (&container["Config"], &container["HostConfig"]);
    let user = config["User"].as_str().unwrap_or_default();
    let numbers: Vec<u32> = user.split(':').map(str::parse).collect::<Result<_, _>>()?;
    assert!(numbers.len() == 2 && numbers.iter().all(|number| *number > 0), "{user}: {container}");
    assert_eq!(host["CapDrop"], json!(["ALL"]), "{container}");
    assert_eq!(host["SecurityOpt"], json!(["no-new-privileges:true"]), "{container}");
    assert_eq!(host["ReadonlyRootfs"], true, "{container}");
    assert_eq!(host["Privileged"], false, "{container}");
    let ports = host["PortBindings"].as_object().into_iter().flatten();
    for binding in ports.flat_map(|(_, bindings)| bindings.as_array().into_iter().flatten()) {
        assert_eq!(binding["HostIp"], "127.0.0.1", "{container}");
    }
    Ok(())
}

/// The reason for which there can be no containers here.
fn missing(local: &tpro_local::checkout::Checkout) -> Option<&'static str> {
    let has_compose = || {
        engine::try_ask(local, &["compose", "version"]).is_some()
            || Command::new("docker-compose").arg("version").output().is_ok_and(|done| done.status.success())
    };
    match () {
        () if engine::version(local).is_none() => Some("no engine answers `docker version`"),
        () if !has_compose() => Some("there is no Compose"),
        () if !image::is_there(local, BASE) => {
            Some("the engine has no debian:bookworm-slim (docker/test/base-image.sh makes it)")
        }
        () => None,
    }
}

#[test]
fn services_in_containers_answer_keep_their_secrets_and_are_replaced_without_a_loss() -> Outcome {
    let Some(here) = Installation::new("roll")? else { return Ok(()) };
    let local = here.local()?;
    here.well("up-main", "1.0")?;
    here.well("up-analytic", "1.0")?;
    let status = here.checkout.well(&["status"])?;
    for service in ["main", "analytic"] {
        let line = status.lines().find(|line| line.contains(&here.container(service, 1))).unwrap_or_default();
        assert!(line.contains("running"), "{status}");
    }
    let found = here.checkout.json("status")?;
    assert_eq!(found["runtime"], "docker");
    for service in ["main", "analytic"] {
        let of_name = |it: &&Value| it["name"] == service;
        let copy = found["services"].as_array().and_then(|all| all.iter().find(of_name));
        let copy = &copy.context("the service")?["copies"][0];
        let told = [&copy["container"], &copy["state"], &copy["version"], &copy["ready"]];
        assert_eq!(
            told,
            [&json!(here.container(service, 1)), &json!("running"), &json!("1.0"), &json!(true)]
        );
    }

    // Everybody who may ask the engine sees this.
    let (main, nats, postgres) = (
        here.container("main", 1),
        format!("{}_nats_1", here.project),
        format!("{}_postgres_1", here.project),
    );
    let everything = engine::ask(&local, &["inspect", &main, &nats, &postgres])?;
    let private = here.checkout.root.join(".local/docker/private");
    for file in ["logins/main", "postgres/superuser", "../../nats/users/main"] {
        let file = private.join(file);
        if let Ok(secret) = std::fs::read_to_string(&file) {
            assert!(!everything.contains(secret.trim()), "{} is in docker inspect", file.display());
        }
    }
    for container in containers(&everything)? {
        confined(&container)?;
    }
    let service = &containers(&engine::ask(&local, &["inspect", &here.container("main", 1)])?)?[0];
    assert_eq!(service["Config"]["Healthcheck"]["Test"], json!(["CMD", "/service", "health"]));
    assert_eq!(service["Config"]["Entrypoint"], json!(["/service"]));
    // STOP_TIMEOUT, and the time for the last spans.
    assert_eq!(service["Config"]["StopTimeout"], 35);
    assert_eq!(service["Config"]["Image"], format!("main_{}_nats_microservice:test-1.0", here.project));

    // A service in SQL is an image of the ready-made program.
    let (well, told) = here.checkout.call("make", &["create-shop"], &[("LANG", "sql")])?;
    assert!(well && told.contains("services/sql/shop/sql"), "{told}");
    let told = here.well("up-shop", "1.0")?;
    assert!(told.contains("shop  scripts of SQL applied: 1"), "{told}");
    let publish_one = r#"SELECT tpro.publish('shop', 'example', 'simple', '{"name": "Ann"}'::jsonb, sender => 'main', timeout => 60)"#;
    let id = sql::ask(&local, publish_one)?;
    let answer = format!("SELECT status, result->>'hello' FROM tpro.wait({id}, 60, 'main')");
    assert_eq!(sql::ask(&local, &answer)?, "ok|Ann");
    let status = here.checkout.well(&["status"])?;
    assert!(status.contains(&here.container("shop", 1)), "{status}");

    // Messages go on while analytic is replaced, and each is answered.
    let publish = publish(PART);
    thread::scope(|scope| -> Outcome {
        let publisher = scope.spawn(|| -> Outcome {
            let local = here.local()?;
            for _ in 0..MESSAGES / PART {
                sql::ask(&local, &publish)?;
            }
            Ok(())
        });
        let told = here.well("roll-analytic", "2.0")?;
        assert!(told.contains("analytic  is version 2.0 now (1 replaced)"), "{told}");
        publisher.join().expect("the publisher ends")
    })?;
    let waited = "SET tpro.sender = 'main'; SELECT status, count(*) FROM \
                  tpro.wait_all(ARRAY(SELECT id FROM main_service.mq_publish WHERE service_name = 'analytic'), 300) GROUP BY status";
    assert_eq!(sql::ask(&local, waited)?, format!("ok|{MESSAGES}"));

    // A newer build of what runs takes its place, and without one nothing is replaced.
    let told = here.well("up-analytic", "2.0")?;
    assert!(told.contains(&here.container("analytic", 2)) && told.contains("running already"), "{told}");
    here.changes_image()?;
    let told = here.well("up-analytic", "2.0")?;
    assert!(told.contains("analytic  is version 2.0 now (1 replaced)"), "{told}");
    sql::ask(&local, &publish)?;
    assert_eq!(sql::ask(&local, waited)?, format!("ok|{}", MESSAGES + PART));

    // The rest of what a user types.
    let told = here.well("env", "1.0")?;
    assert!(told.contains("export MAIN_1_URL='http://127.0.0.1:"), "{told}");
    here.well("stop-analytic", "2.0")?;
    let told = here.well("status", "2.0")?;
    assert!(!told.contains(&here.container("analytic", 2)) || told.contains("stopped"), "{told}");

    here.well("down", "1.0")?;
    assert_eq!(engine::try_ask(&local, &["inspect", &here.container("main", 1)]), None);
    Ok(())
}
