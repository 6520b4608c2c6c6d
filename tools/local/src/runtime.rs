//! The setting RUNTIME: everything runs natively, or in containers.

use crate::failure::{Failure, Outcome};
use crate::settings::{Settings, shortened};

/// The way in which everything runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// As processes of this machine.
    Native,
    /// In containers.
    Docker,
}

impl Runtime {
    /// The way that the settings name.
    pub fn chosen(settings: &Settings) -> Outcome<Self> {
        match settings.get("RUNTIME").as_deref() {
            None | Some("native") => Ok(Self::Native),
            Some("docker") => Ok(Self::Docker),
            Some(other) => Err(Failure::new(format!("RUNTIME={} is not known", shortened(other)))
                .remedy("say docker, or native, or leave it out")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_is_native_unless_docker_is_named() {
        let chosen = |text: &str| {
            let mut settings = Settings::default();
            settings.set("RUNTIME", text);
            Runtime::chosen(&settings)
        };
        assert_eq!(chosen("").unwrap(), Runtime::Native);
        assert_eq!(chosen("docker").unwrap(), Runtime::Docker);
        assert!(chosen("podman").unwrap_err().to_string().starts_with("RUNTIME=podman is not known: "));
    }
}
