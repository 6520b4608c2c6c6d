//! The names of images, containers, networks and volumes.

use crate::checkout::Checkout;
use crate::debian::Release;
use crate::failure::{Failure, Outcome};
use crate::settings::shortened;

/// The names of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// PROJECT_NAME, which all of them hold.
    pub project: String,
    /// MODE, the first part of a tag.
    pub mode: String,
    /// The network, DCAPE_NET where it is set.
    pub network: String,
    /// True if the network is the user's.
    pub network_is_given: bool,
}

impl Names {
    /// The names that the settings choose.
    pub fn of(checkout: &Checkout) -> Outcome<Self> {
        let given = |key: &str| checkout.settings.get(key);
        let project = given("PROJECT_NAME").unwrap_or_else(|| "tpro".to_owned());
        let first = project.bytes().next().is_some_and(|letter| letter.is_ascii_lowercase());
        if !first
            || project.len() > 40
            || !project.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        {
            return Err(Failure::new(format!("PROJECT_NAME={} is no name", shortened(&project)))
                .remedy("a small letter, then small letters and digits, at most 40 in all"));
        }
        let mode = given("MODE").unwrap_or_else(|| "local".to_owned());
        must_be_tag("MODE", &mode)?;
        let network = given("DCAPE_NET");
        if let Some(network) = &network {
            must_be_tag("DCAPE_NET", network)?;
        }
        let network_is_given = network.is_some();
        let network = network.unwrap_or_else(|| project.clone());
        Ok(Self { project, mode, network, network_is_given })
    }

    /// The container of a copy.
    pub fn copy(&self, service: &str, number: u32) -> String {
        format!("{service}-{number}_{}_nats_service_1", self.project)
    }

    /// The compose project of a copy.
    pub fn copy_project(&self, service: &str, number: u32) -> String {
        format!("{service}-{number}_{}", self.project)
    }

    /// The container of a part: postgres, nats or jaeger.
    pub fn part(&self, part: &str) -> String {
        format!("{}_{part}_1", self.project)
    }

    /// The name of a part on the network.
    pub fn host(&self, part: &str) -> String {
        format!("{}-{part}", self.project)
    }

    /// The images of all versions of a service.
    pub fn service_images(&self, service: &str) -> String {
        format!("{service}_{}_nats_microservice", self.project)
    }

    /// The image of a version of a service.
    pub fn service_image(&self, service: &str, version: &str) -> Outcome<String> {
        must_be_tag("SERVICE_VERSION", version)?;
        Ok(format!("{}:{}-{version}", self.service_images(service), self.mode))
    }

    /// The image of anything else.
    pub fn image(&self, what: &str) -> String {
        format!("{}_{what}:{}", self.project, self.mode)
    }

    /// The volume with the data of this PostgreSQL, which no other version can read.
    pub fn volume(&self, release: Release) -> String {
        format!("{}_{}", self.project, release.named("postgres"))
    }
}

/// Fails unless a value can be a part of a tag.
fn must_be_tag(setting: &str, value: &str) -> Outcome {
    let first = value.bytes().next().is_some_and(|letter| letter.is_ascii_alphanumeric());
    let is_part = |letter: u8| letter.is_ascii_alphanumeric() || b"._-".contains(&letter);
    if first && value.len() <= 60 && value.bytes().all(is_part) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{setting}={} cannot be in the name of an image or a network",
        shortened(value)
    ))
    .remedy("letters, digits, '.', '_' and '-', at most 60"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debian::{BOOKWORM, RELEASES};

    fn names() -> Names {
        let [project, mode, network] = ["tpro", "local", "tpro"].map(str::to_owned);
        Names { project, mode, network, network_is_given: false }
    }

    #[test]
    fn containers_and_images_have_the_names_that_users_know() {
        let names = names();
        let parts = ["postgres", "nats", "jaeger"].map(|part| names.part(part));
        assert_eq!(parts, ["tpro_postgres_1", "tpro_nats_1", "tpro_jaeger_1"]);
        assert_eq!(
            (names.volume(BOOKWORM), names.image(&BOOKWORM.named("extension"))),
            ("tpro_postgres".into(), "tpro_extension:local".into())
        );
        assert_eq!(RELEASES[2].postgres, 17);
        assert_eq!(
            (names.volume(RELEASES[2]), names.image(&RELEASES[2].named("extension"))),
            ("tpro_postgres_17".into(), "tpro_extension_17:local".into())
        );
        assert_eq!(names.copy("main", 1), "main-1_tpro_nats_service_1");
        assert_eq!(names.copy("analytic", 2), "analytic-2_tpro_nats_service_1");
        let image = names.service_image("analytic", "2.72").unwrap();
        assert_eq!(image, "analytic_tpro_nats_microservice:local-2.72");
    }

    #[test]
    fn a_version_that_no_tag_can_hold_is_refused_by_name() {
        let refused = names().service_image("co", "1.0+a").unwrap_err().to_string();
        assert!(refused.starts_with("SERVICE_VERSION=1.0+a cannot be in the name"), "{refused}");
    }
}
