//! Compose, of either kind: the plugin of `docker`, or docker-compose 1.29.

use std::process::{Command, Stdio};

use super::engine;
use super::names::Names;
use super::private;
use crate::checkout::Checkout;
use crate::failure::{Failure, Outcome};
use crate::settings::shortened;

/// The addresses that ports may be published on.
const BINDS: [&str; 2] = ["127.0.0.1", "0.0.0.0"];

/// Starts a service of a compose file, in the project of this name.
pub fn up(
    checkout: &Checkout,
    project: &str,
    file: &str,
    service: &str,
    variables: &[(&str, &str)],
) -> Outcome {
    let names = Names::of(checkout)?;
    let mut compose = call(checkout)?;
    compose.args(["--project-name", project, "--file", file, "up", "--detach", "--no-build", service]);
    compose.env("PROJECT_NAME", &names.project).env("MODE", &names.mode).env("DCAPE_NET", &names.network);
    compose.env("BIND", bind(checkout)?).env("TPRO_USER", private::user());
    compose.env("TPRO_CHECKOUT", &checkout.root);
    // The containers of other services are in files of their own, and no orphans of this one.
    compose.env("COMPOSE_IGNORE_ORPHANS", "true").env_remove("COMPOSE_FILE");
    compose.envs(variables.iter().copied()).stdin(Stdio::null());
    engine::answer(compose).map(|_| ())
}

/// The address that ports are published on.
pub fn bind(checkout: &Checkout) -> Outcome<&'static str> {
    let given = checkout.settings.get("BIND").unwrap_or_else(|| BINDS[0].to_owned());
    BINDS.into_iter().find(|bind| *bind == given).ok_or_else(|| {
        Failure::new(format!("BIND={} is no address to publish on", shortened(&given)))
            .remedy("say 127.0.0.1 for this machine alone, or 0.0.0.0 for all of the network")
    })
}

fn call(checkout: &Checkout) -> Outcome<Command> {
    if engine::try_ask(checkout, &["compose", "version"]).is_some() {
        return Ok(engine::docker(checkout, &["compose"]));
    }
    let mut compose = checkout.command("docker-compose");
    compose.arg("version").stdin(Stdio::null());
    if engine::answer(compose).is_ok() {
        return Ok(checkout.command("docker-compose"));
    }
    Err(Failure::new("RUNTIME=docker needs Compose, and there is none")
        .remedy("apt-get install docker-compose, or docker-compose-plugin of Docker's own packages"))
}
