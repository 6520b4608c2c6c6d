//! The port on loopback by which a copy's NATS client reaches the server.

use std::collections::HashSet;
use std::process::Command;

use tpro_testkit::{Context, Failure, Outcome, SidecarProcess, World, eventually};

/// Reads what the server says first, as NATS servers do, for a second at most.
const GREETING: &str =
    "exec 3<>/dev/tcp/127.0.0.1/$0 && IFS= read -r -t 1 -u 3 line; printf %s \"${line:0:5}\"";

#[tpro_testkit::test]
async fn another_user_of_the_machine_does_not_come_to_the_server_through_a_copy() -> Outcome {
    let world = World::new().await?;
    let main = world.run("main").await?;
    let port = guard(&main)?;
    eventually("we come through", async || Ok(greeting(port, None)? == "INFO ")).await?;
    // Only root can be somebody else.
    if rustix::process::geteuid().is_root() {
        assert_eq!(greeting(port, Some("65534"))?, "");
    }
    assert_eq!(main.get("/readyz").await?.status, 200);
    world.finish(&[&main]).await?;
    Ok(())
}

/// What a user hears first; ourselves if it is none.
fn greeting(port: u16, user: Option<&str>) -> Outcome<String> {
    let mut command = match user {
        Some(user) => {
            let mut other = Command::new("setpriv");
            other.args(["--reuid", user, "--regid", user, "--clear-groups", "bash"]);
            other
        }
        None => Command::new("bash"),
    };
    let output = command.args(["-c", GREETING, &port.to_string()]).output().context("bash")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The port on which a copy listens besides that for HTTP.
fn guard(copy: &SidecarProcess) -> Outcome<u16> {
    let pid = copy.process().pid();
    let mut sockets = HashSet::new();
    for file in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        let name = std::fs::read_link(file?.path())?.to_string_lossy().into_owned();
        sockets
            .extend(name.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')).map(str::to_owned));
    }
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp"))?;
    let listening = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut ports = listening
        .filter(|words| words.len() > 9 && words[3] == "0A" && sockets.contains(words[9]))
        .filter_map(|words| u16::from_str_radix(words[1].rsplit(':').next()?, 16).ok());
    ports.find(|port| *port != copy.port()).ok_or_else(|| Failure::new("it listens on one port only"))
}
