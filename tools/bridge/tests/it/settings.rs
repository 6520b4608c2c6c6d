//! The command line, as people meet it.

use std::process::{Command, Output};

use tpro_testkit::{Context, Outcome, paths};

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Outcome<Output> {
    let mut bridge = Command::new(paths::binary("tpro-bridge", "tpro-bridge")?);
    bridge.args(arguments).env_clear().envs(environment.iter().copied());
    bridge.output().context("running tpro-bridge")
}

#[test]
fn one_server_for_both_sides_is_refused_and_no_secret_is_shown() -> Outcome {
    let both = [
        ("OLD_NATS_URL", "nats://127.0.0.1:4222"),
        ("NATS_URL", "nats://127.0.0.1:4222"),
        ("OLD_NATS_TOKEN", "hush"),
        ("NATS_TOKEN", "hush"),
    ];
    let refused = run(&[], &both)?;
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{text}");
    assert!(
        text.starts_with("OLD_NATS_URL (environment): is the address and the login of NATS_URL"),
        "{text}"
    );
    // Another account of one server is another server.
    let checked = run(&["--check"], &[&both[..3], &[("NATS_TOKEN", "other")]].concat())?;
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success() && text.contains("NATS_TOKEN=***") && !text.contains("hush"), "{text}");
    let help = run(&["--help"], &[])?;
    assert!(String::from_utf8_lossy(&help.stdout).contains("OLD_SERVICES"));
    assert_eq!(run(&["--chekc"], &[])?.status.code(), Some(2));
    Ok(())
}
