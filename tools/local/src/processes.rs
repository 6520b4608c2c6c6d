//! The copies of a service as processes of this machine.

use crate::checkout::Checkout;
use crate::copies::Copies;
use crate::copy::{self, ServiceCopy};
use crate::failure::Outcome;
use crate::{cargo, environment, ready, release, schema, services, state};

/// The copies of a service as processes.
#[derive(Clone, Copy, Debug)]
pub struct Processes<'a> {
    checkout: &'a Checkout,
    service: &'a str,
}

impl<'a> Processes<'a> {
    /// The copies of this service.
    pub fn of(checkout: &'a Checkout, service: &'a str) -> Self {
        Self { checkout, service }
    }

    fn copy(&self, number: u32) -> ServiceCopy<'a> {
        ServiceCopy::new(self.service, number)
    }
}

impl Copies for Processes<'_> {
    fn checkout(&self) -> &Checkout {
        self.checkout
    }

    fn service(&self) -> &str {
        self.service
    }

    fn runs(&self, number: u32) -> bool {
        self.copy(number).pid(self.checkout).is_some()
    }

    fn version(&self, number: u32) -> String {
        self.copy(number).version(self.checkout)
    }

    fn is_outdated(&self, number: u32) -> Outcome<bool> {
        Ok(copy::is_outdated(self.checkout, &self.copy(number)))
    }

    fn whereabouts(&self, number: u32) -> String {
        let copy = self.copy(number);
        let port = copy.port(self.checkout).unwrap_or_default();
        let pid = copy.pid(self.checkout).unwrap_or_default();
        format!("http://127.0.0.1:{port} (pid {pid})")
    }

    fn need(&self) -> Outcome {
        ready::all(self.checkout, self.service)
    }

    fn build(&self, _version: &str) -> Outcome {
        build(self.checkout, self.service)?;
        // The next message sees them, also at a copy that runs.
        if services::is_in_sql(self.checkout, self.service) {
            schema::apply(self.checkout, self.service)?;
        }
        Ok(())
    }

    fn keep(&self, version: &str) -> Outcome {
        release::keep(self.checkout, self.service, version)
    }

    fn kept(&self) -> Outcome<Vec<String>> {
        Ok(release::kept(self.checkout, self.service))
    }

    fn begin(&self, number: u32, version: &str) -> Outcome {
        self.copy(number).begin(self.checkout, version)
    }

    fn stop(&self, number: u32) -> Outcome {
        copy::stop(self.checkout, self.service, &[number])
    }

    fn forget(&self, number: u32) -> Outcome {
        state::forget(self.checkout, &self.copy(number).id());
        Ok(())
    }

    fn save(&self) -> Outcome {
        environment::save(self.checkout)
    }
}

/// Builds the program of a service.
pub fn build(checkout: &Checkout, service: &str) -> Outcome {
    let program = services::program(checkout, service);
    cargo::build(checkout, &format!("building {service}"), &["--bin", &program])
}
