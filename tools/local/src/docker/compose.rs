//! Compose, of either kind: the plugin of `docker`, or docker-compose 1.29.

use std::process::{Command, Stdio};

use super::engine;
use super::names::Names;
use super::private;
use crate::bind;
use crate::checkout::Checkout;
use crate::failure::{Failure, Outcome};

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
    compose.env("BIND", bind::address(checkout)?).env("TPRO_USER", private::user());
    compose.env("TPRO_CHECKOUT", &checkout.root);
    // The containers of other services are in files of their own, and no orphans of this one.
    compose.env("COMPOSE_IGNORE_ORPHANS", "true").env_remove("COMPOSE_FILE");
    compose.envs(variables.iter().copied()).stdin(Stdio::null());
    engine::answer(compose).map(|_| ())
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
