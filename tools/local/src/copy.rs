//! A running copy of a service: how it is started, and how it is stopped.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::checkout::Checkout;
use crate::failure::{Failure, Outcome, fail};
use crate::process::{self, LOOK, Signal};
use crate::say::since;
use crate::{chosen, environment, http, libpq, of_file, port, release, services, state};

/// The time that a copy has to stop beyond its own STOP_TIMEOUT: telemetry is flushed for up to 5 s
/// after it.
pub const STOP_GRACE: u64 = 10;
/// The time in which a program begins to listen, or ends.
const LISTENS_WITHIN: Duration = Duration::from_secs(10);
/// A wait for readiness that takes longer is explained.
const UNEXPLAINED: Duration = Duration::from_millis(1500);

/// A copy of a service, which may run or not.
#[derive(Clone, Copy, Debug)]
pub struct ServiceCopy<'a> {
    /// The service.
    pub service: &'a str,
    /// Its number.
    pub number: u32,
}

impl<'a> ServiceCopy<'a> {
    /// The copy of this number.
    pub fn new(service: &'a str, number: u32) -> Self {
        Self { service, number }
    }

    /// The name under which it is remembered.
    pub fn id(&self) -> String {
        format!("{}-{}", self.service, self.number)
    }

    /// Its log, seen from the checkout.
    pub fn log(&self) -> String {
        services::log(self.service, self.number)
    }

    /// Its process, if it runs.
    pub fn pid(&self, checkout: &Checkout) -> Option<u32> {
        process::pid_of(checkout, &self.id())
    }

    /// The port that it has, or had when it ran.
    pub fn port(&self, checkout: &Checkout) -> Option<u16> {
        state::port(checkout, &self.id(), "port")
    }

    /// The version that it was started as.
    pub fn version(&self, checkout: &Checkout) -> String {
        state::get(checkout, &self.id(), "version").unwrap_or_default()
    }

    /// A name for people, such as `main 1`.
    pub fn title(&self) -> String {
        format!("{} {}", self.service, self.number)
    }

    /// Starts the kept program of this version, and waits until the copy is ready.
    pub fn begin(&self, checkout: &Checkout, version: &str) -> Outcome {
        let patience = checkout.settings.whole_number("UP_TIMEOUT", 60, "UP_TIMEOUT")?;
        let at = Instant::now();
        let (pid, port) = self.start(checkout, version)?;
        let (title, log) = (self.title(), self.log());
        let failed = |what: String| {
            process::last_words(checkout, &self.id(), Some(&checkout.path(&log)));
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
            if self.pid(checkout).is_none() {
                return failed(format!("{title} ended instead of starting; its log is {log}"));
            }
            if Instant::now() > until {
                return failed(format!(
                    "{title} runs (pid {pid}) but is not ready after {patience} s (UP_TIMEOUT); \
                     http://127.0.0.1:{port}/readyz says: {reasons}"
                ));
            }
            // Its reasons for waiting, each time that they have changed and lasted: /readyz names
            // each failing check.
            if reasons != waits && at.elapsed() > UNEXPLAINED {
                checkout.screen.note(format!("      {title}  waiting: {reasons}"));
                waits = reasons;
            }
            sleep(LOOK);
        }
        environment::save(checkout)?;
        checkout
            .screen
            .say(format!("      {title}  http://127.0.0.1:{port}, ready in {}, log {log}", since(at)));
        Ok(())
    }

    /// Starts the process; returns its id and its port.
    fn start(&self, checkout: &Checkout, version: &str) -> Outcome<(u32, u16)> {
        let _ports = checkout.lock("ports")?;
        let port = self.choose_port(checkout)?;
        let mut program = checkout.command(release::program(checkout, self.service, version));
        if chosen::by_user(checkout, "DATABASE_URL", Some(self.service)).is_none() {
            libpq::without(checkout, &mut program);
        }
        let shown = port.to_string();
        program.env("COPY_NUMBER", self.number.to_string()).env("SERVICE_PORT", &shown);
        // The ready-made program finds the file of the service by it.
        if services::is_in_sql(checkout, self.service) {
            program.env("SERVICE_NAME", self.service);
        }
        if !self.has_log_of_file(checkout)? && checkout.settings.get("LOG_FILE_NAME").is_none() {
            program.env("LOG_FILE_NAME", self.log());
        }
        let id = self.id();
        let pid = process::spawn(checkout, &id, &program)?;
        process::remember(checkout, &id, pid, &[("port", &shown), ("version", version)])?;
        // Its port is taken once it listens there; until then nobody else may choose one.
        let until = Instant::now() + LISTENS_WITHIN;
        while !port::listening(port) && process::running(checkout, &id) && Instant::now() < until {
            sleep(Duration::from_millis(20));
        }
        Ok((pid, port))
    }

    /// True if the program finds its log in the file. A file for the first copy may name none.
    fn has_log_of_file(&self, checkout: &Checkout) -> Outcome<bool> {
        let is_of_file = self.number == services::copy_of_file(checkout, self.service)?;
        let log = of_file::log(checkout, self.service, self.number)?;
        Ok(log.is_some() || (is_of_file && self.number == 1))
    }

    /// The copy that the file is for takes the port of the file; the first one that or the next
    /// free one; the others one that is in nobody's file.
    fn choose_port(&self, checkout: &Checkout) -> Outcome<u16> {
        const SETTING: &str = "SERVICE_PORT";
        let given = checkout.settings.get(SETTING);
        if let (None, Some(port)) = (&given, of_file::port(checkout, self.service, self.number)?) {
            return port::pick(SETTING, Some(&port), "8081", None);
        }
        let in_file = services::env_file(checkout, self.service).get(SETTING);
        let first = if self.number == 1 {
            in_file.unwrap_or_else(|| "8081".to_owned())
        } else {
            let highest = services::ports(checkout).into_iter().max().unwrap_or(8080);
            highest.saturating_add(1).to_string()
        };
        port::pick(SETTING, given.as_deref(), &first, self.port(checkout))
    }

    /// Waits for a copy that was told to stop. It is forced after its time.
    fn end(&self, checkout: &Checkout, pid: u32, timeout: u64) -> Outcome {
        let id = self.id();
        let gone = |seconds| process::gone_within(checkout, &id, Duration::from_secs(seconds));
        let title = self.title();
        if !gone(2) {
            checkout.screen.note(format!(
                "      {title}  draining: it has up to {timeout} s (STOP_TIMEOUT) for what it has taken"
            ));
        }
        if gone(timeout + STOP_GRACE) {
            return Ok(());
        }
        checkout.screen.warn(format!(
            "{title} (pid {pid}) has not stopped after its STOP_TIMEOUT: a second signal forces it"
        ));
        for signal in [Signal::TERM, Signal::KILL] {
            process::signal(pid, signal);
            if gone(5) {
                return Ok(());
            }
        }
        fail(format!("{title} (pid {pid}) cannot be ended"))
    }
}

/// Stops copies of a service: all at once, then waits for each.
pub fn stop(checkout: &Checkout, service: &str, numbers: &[u32]) -> Outcome {
    let at = Instant::now();
    let timeout = stop_timeout(chosen::by_user(checkout, "STOP_TIMEOUT", Some(service)));
    let copies: Vec<(ServiceCopy<'_>, Option<u32>)> = numbers
        .iter()
        .map(|number| ServiceCopy::new(service, *number))
        .map(|copy| (copy, copy.pid(checkout)))
        .collect();
    copies.iter().filter_map(|(_, pid)| *pid).for_each(|pid| process::signal(pid, Signal::TERM));
    for (copy, pid) in copies {
        match pid {
            Some(pid) => {
                copy.end(checkout, pid, timeout)?;
                checkout.screen.say(format!("      {}  stopped in {}", copy.title(), since(at)));
            }
            None => checkout.screen.say(format!("      {}  not running", copy.title())),
        }
        process::forget_pid(checkout, &copy.id());
    }
    Ok(())
}

/// The seconds of STOP_TIMEOUT. Of another unit, or of a value that the program refuses, its
/// default.
pub fn stop_timeout(given: Option<String>) -> u64 {
    let given = given.unwrap_or_default();
    let digits = given.strip_suffix('s').unwrap_or(&given);
    let is_number = digits.len() <= 4 && digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number).unwrap_or(25)
}

/// True if the program of a service was built later than the one that a copy runs.
pub fn is_outdated(checkout: &Checkout, copy: &ServiceCopy<'_>) -> bool {
    let kept = release::built_at(&release::program(checkout, copy.service, &copy.version(checkout)));
    release::built_at(&release::built(checkout, copy.service)).is_some_and(|built| Some(built) > kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_stop_is_seconds_or_the_default() {
        let of = |text: &str| stop_timeout(Some(text.to_owned()));
        assert_eq!((of("0"), of("40"), of("40s")), (0, 40, 40));
        for other in ["1m", "a[$(touch pwned)]", "-1", "+1", "99999", ""] {
            assert_eq!(of(other), 25, "{other}");
        }
        assert_eq!(stop_timeout(None), 25);
    }
}
