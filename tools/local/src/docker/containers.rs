//! The copies of a service in containers. A kept build is an image with the tag of its version.

use super::copy::{self, Copy};
use super::names::Names;
use super::{container, environment, image, ready, release, schema, service_file};
use crate::checkout::Checkout;
use crate::copies::Copies;
use crate::failure::Outcome;
use crate::{services, state};

/// The copies of a service in containers.
#[derive(Clone, Debug)]
pub struct Containers<'a> {
    checkout: &'a Checkout,
    service: &'a str,
    names: Names,
}

impl<'a> Containers<'a> {
    /// The copies of this service.
    pub fn of(checkout: &'a Checkout, service: &'a str) -> Outcome<Self> {
        Ok(Self { checkout, service, names: Names::of(checkout)? })
    }

    fn copy(&self, number: u32) -> Copy {
        let container = self.names.copy(self.service, number);
        Copy { service: self.service.to_owned(), number, container }
    }
}

impl Copies for Containers<'_> {
    fn checkout(&self) -> &Checkout {
        self.checkout
    }

    fn service(&self) -> &str {
        self.service
    }

    fn runs(&self, number: u32) -> bool {
        self.copy(number).runs(self.checkout)
    }

    fn version(&self, number: u32) -> String {
        self.copy(number).version(self.checkout)
    }

    fn is_outdated(&self, number: u32) -> Outcome<bool> {
        let tag = self.names.service_image(self.service, &self.version(number))?;
        let running = container::find(self.checkout, &self.copy(number).container);
        let latest = image::id(self.checkout, &tag);
        Ok(running.zip(latest).is_some_and(|(running, latest)| running.runs() && running.image != latest))
    }

    fn whereabouts(&self, number: u32) -> String {
        let copy = self.copy(number);
        let port = copy.port(self.checkout).unwrap_or_default();
        format!("http://127.0.0.1:{port} (container {})", copy.container)
    }

    fn need(&self) -> Outcome {
        ready::all(self.checkout, self.service)
    }

    fn build(&self, version: &str) -> Outcome {
        if !self.checkout.settings.is_yes("IMAGES_BUILT") {
            image::build_service(self.checkout, self.service, version)?;
        }
        // The next message sees them, also at a copy that runs.
        if services::is_in_sql(self.checkout, self.service) {
            schema::apply(self.checkout, self.service)?;
        }
        Ok(())
    }

    fn keep(&self, _version: &str) -> Outcome {
        // The image has the tag of its version.
        Ok(())
    }

    fn kept(&self) -> Outcome<Vec<String>> {
        release::kept(self.checkout, self.service)
    }

    fn begin(&self, number: u32, version: &str) -> Outcome {
        self.copy(number).begin(self.checkout, version)
    }

    fn stop(&self, number: u32) -> Outcome {
        copy::stop(self.checkout, self.service, &[number])
    }

    fn forget(&self, number: u32) -> Outcome {
        let copy = self.copy(number);
        container::must_be_ours(self.checkout, &copy.container)?;
        container::remove(self.checkout, &copy.container)?;
        service_file::forget(self.checkout, self.service, number)?;
        state::forget(self.checkout, &copy.id());
        Ok(())
    }

    fn save(&self) -> Outcome {
        environment::save(self.checkout)
    }
}
