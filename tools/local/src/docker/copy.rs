//! A copy of a service in its container: how it is started, and how it is stopped.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::names::Names;
use super::{compose, container, network, private, service_file};
use crate::checkout::Checkout;
use crate::copy::{STOP_GRACE, stop_timeout};
use crate::failure::{Context as _, Failure, Outcome};
use crate::process::LOOK;
use crate::say::since;
use crate::{chosen, http, of_file, port, services, state};

/// A wait for readiness that takes longer is explained.
const UNEXPLAINED: Duration = Duration::from_secs(3);

/// A copy of a service, whose container may run or not.
#[derive(Clone, Debug)]
pub struct Copy {
    /// The service.
    pub service: String,
    /// Its number.
    pub number: u32,
    /// Its container.
    pub container: String,
}

impl Copy {
    /// The copy of this number.
    pub fn new(checkout: &Checkout, service: &str, number: u32) -> Outcome<Self> {
        let container = Names::of(checkout)?.copy(service, number);
        Ok(Self { service: service.to_owned(), number, container })
    }

    /// The name under which it is remembered.
    pub fn id(&self) -> String {
        format!("{}-{}", self.service, self.number)
    }

    /// True if its container runs.
    pub fn runs(&self, checkout: &Checkout) -> bool {
        container::runs(checkout, &self.container)
    }

    /// The port that it is published on, or was.
    pub fn port(&self, checkout: &Checkout) -> Option<u16> {
        state::port(checkout, &self.id(), "port")
    }

    /// The version that it was started as.
    pub fn version(&self, checkout: &Checkout) -> String {
        state::get(checkout, &self.id(), "version").unwrap_or_default()
    }

    /// Starts the image of this version, and waits until the copy is ready.
    pub fn begin(&self, checkout: &Checkout, version: &str) -> Outcome {
        let patience = checkout.settings.whole_number("UP_TIMEOUT", 60, "UP_TIMEOUT")?;
        let at = Instant::now();
        let port = self.start(checkout, version)?;
        let title = format!("{} {}", self.service, self.number);
        let failed = |what: String| {
            container::last_words(checkout, &self.container);
            Err(Failure::new(what))
        };
        let until = Instant::now() + Duration::from_secs(patience);
        let mut waits = String::new();
        loop {
            let answer = http::get(port, "/readyz");
            if answer.status == 200 {
                break;
            }
            let reasons = answer.body.replace('\n', " ");
            let found = container::find(checkout, &self.container);
            if !found.is_some_and(|found| found.runs() && found.restarts == 0) {
                let ended =
                    failed(format!("{title} ended instead of starting: docker logs {}", self.container));
                // Else the engine would start it again and again.
                container::stop(checkout, std::slice::from_ref(&self.container))?;
                return ended;
            }
            if Instant::now() > until {
                return failed(format!(
                    "{title} runs but is not ready after {patience} s (UP_TIMEOUT); \
                     http://127.0.0.1:{port}/readyz says: {reasons}"
                ));
            }
            if reasons != waits && at.elapsed() > UNEXPLAINED {
                checkout.screen.note(format!("      {title}  waiting: {reasons}"));
                waits = reasons;
            }
            sleep(LOOK);
        }
        let took = since(at);
        checkout.screen.say(format!(
            "      {title}  http://127.0.0.1:{port}, container {}, ready in {took}",
            self.container
        ));
        Ok(())
    }

    /// Starts the container; its port.
    fn start(&self, checkout: &Checkout, version: &str) -> Outcome<u16> {
        container::must_be_ours(checkout, &self.container)?;
        network::need(checkout)?;
        let _ports = checkout.lock("ports")?;
        let port = self.choose_port(checkout)?;
        let handed = service_file::write(checkout, &self.service, self.number, version)?;
        let logs = checkout.logs().join("docker");
        fs::create_dir_all(&logs).context(format!("making {}", logs.display()))?;
        private::give(&logs)?;
        // Compose adds no seconds by itself.
        let timeout = stop_timeout(chosen::by_user(checkout, "STOP_TIMEOUT", Some(&self.service)));
        let variables = [
            ("SERVICE_NAME", self.service.clone()),
            ("COPY_NUMBER", self.number.to_string()),
            ("SERVICE_VERSION", version.to_owned()),
            ("SERVICE_PORT", port.to_string()),
            ("SERVICE_ENV", handed.settings.display().to_string()),
            ("SERVICE_FILES", handed.key_files.display().to_string()),
            ("LOGS", logs.display().to_string()),
            ("STOP_GRACE", format!("{}s", timeout + STOP_GRACE)),
        ];
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let project = Names::of(checkout)?.copy_project(&self.service, self.number);
        compose::up(checkout, &project, "docker/service.yml", "nats_service", &variables)?;
        state::put(checkout, &self.id(), &[("port", &port.to_string()), ("version", version)])?;
        Ok(port)
    }

    /// The copy that the file is for takes the port of the file, or the next free one, because a
    /// native copy may have that; so does the first one. The others take one that is in nobody's
    /// file.
    fn choose_port(&self, checkout: &Checkout) -> Outcome<u16> {
        const SETTING: &str = "SERVICE_PORT";
        let given = checkout.settings.get(SETTING);
        if let (None, Some(port)) = (&given, of_file::port(checkout, &self.service, self.number)?) {
            return port::pick(SETTING, None, &port, None);
        }
        let first = match services::env_file(checkout, &self.service).get(SETTING) {
            Some(port) if self.number == 1 => port,
            _ => services::ports(checkout).into_iter().max().unwrap_or(8080).saturating_add(1).to_string(),
        };
        port::pick(SETTING, given.as_deref(), &first, self.port(checkout))
    }
}

/// Stops copies of a service: all at once. Each has its STOP_TIMEOUT for what it has taken.
pub fn stop(checkout: &Checkout, service: &str, numbers: &[u32]) -> Outcome {
    let at = Instant::now();
    let copies: Vec<Copy> =
        numbers.iter().map(|number| Copy::new(checkout, service, *number)).collect::<Outcome<_>>()?;
    let (running, others): (Vec<Copy>, Vec<Copy>) = copies.into_iter().partition(|copy| copy.runs(checkout));
    for copy in others {
        checkout.screen.say(format!("      {service} {}  not running", copy.number));
    }
    running.iter().try_for_each(|copy| container::must_be_ours(checkout, &copy.container))?;
    let names: Vec<String> = running.iter().map(|copy| copy.container.clone()).collect();
    container::stop(checkout, &names)?;
    for copy in running {
        checkout.screen.say(format!("      {service} {}  stopped in {}", copy.number, since(at)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::settings::Settings;

    #[test]
    fn the_copy_that_the_file_names_is_published_on_the_port_of_the_file() -> Outcome {
        let root = std::env::temp_dir().join(format!("tpro-local-docker-copy-{}", std::process::id()));
        fs::create_dir_all(root.join("services/co")).context("a folder")?;
        // This port is taken, and the one that was chosen before is not the one of the file.
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("a listener")?;
        let taken = listener.local_addr().context("its address")?.port();
        let free = TcpListener::bind(("127.0.0.1", 0)).context("a listener")?;
        let port = free.local_addr().context("its address")?.port();
        drop(free);
        let mut settings = Settings::default();
        settings.set("RUNTIME", "docker");
        let checkout = Checkout::open(root.clone(), settings)?;
        let chosen = |number: u32, lines: String| -> Outcome<u16> {
            fs::write(root.join("services/co/.env"), lines).context("its settings")?;
            Copy::new(&checkout, "co", number)?.choose_port(&checkout)
        };
        let second = |port: u16| format!("COPY_NUMBER=2\nSERVICE_PORT={port}\n");
        assert_eq!(chosen(2, second(port))?, port);
        state::put(&checkout, "co-2", &[("port", "1")])?;
        assert_eq!(chosen(2, second(port))?, port, "the file has changed, and counts");
        // A native copy may have the port of the file.
        assert!((taken + 1..=taken + 200).contains(&chosen(2, second(taken))?));
        // A copy that the file is not for leaves that port to the one that it is for.
        assert_ne!(chosen(3, second(port))?, port);
        // The file was the first copy's, and only the number in it has changed.
        state::put(&checkout, "co-1", &[("port", &port.to_string())])?;
        assert_ne!(chosen(2, second(port))?, port);
        fs::remove_dir_all(&root).context("removing it")
    }
}
