//! `make demo` builds the programs that it runs, and no others.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tpro_local::settings::Settings;
use tpro_local::{process, release};
use tpro_testkit::ports::free_port;
use tpro_testkit::{Context, Outcome, Process, Signal, paths};

use crate::make_commands::Checkout;
use crate::make_upgrade::KEEPER;

/// A cargo that notes its calls, and that has each program there which a call asks for.
const CARGO: &str = r#"#!/bin/bash
if [ "$1" = --version ]; then echo "cargo 99.0.0 (a date)"; exit; fi
echo "$*" >>calls
while (($#)); do
  case $1 in
    --lib) ln -sf "$BUILT_BY_TESTS/libpg_tpro.so" target/debug/ ;;
    --bins) ln -sf "$BUILT_BY_TESTS"/*_service "$BUILT_BY_TESTS"/tpro-* target/debug/ ;;
    --bin) ln -sf "$BUILT_BY_TESTS/$2" target/debug/ ;;
  esac
  shift
done
"#;

#[test]
fn a_demo_builds_what_it_runs_and_nothing_else() -> Outcome {
    let mut checkout = Checkout::new("demo")?.env("BUILT_BY_TESTS", paths::binaries()?.display());
    for port in ["PG_PORT", "NATS_PORT", "NATS_MONITOR_PORT", "OTLP_PORT", "JAEGER_PORT"] {
        checkout = checkout.env(port, free_port()?);
    }
    // Of a service make wants the folder and the manifest.
    for name in ["main", "analytic", "template", "web"] {
        let folder = checkout.root.join("services").join(name);
        fs::create_dir_all(&folder)?;
        fs::copy(
            paths::checkout().join("services").join(name).join("Cargo.toml"),
            folder.join("Cargo.toml"),
        )?;
    }
    let built = checkout.root.join("target/debug");
    fs::remove_file(built.join("tpro"))?;
    let tools = checkout.root.join("its tools");
    fs::create_dir(&tools)?;
    let pinned = fs::read_to_string(checkout.root.join("rust-toolchain.toml"))?;
    let pinned = pinned.lines().find_map(|line| line.strip_prefix("channel = \"")).context("a channel")?;
    let rustup = format!("#!/bin/sh\necho '{}-of-here'\n", pinned.trim_end_matches('"'));
    for (name, text) in [("cargo", CARGO), ("rustup", &rustup)] {
        fs::write(tools.join(name), text)?;
        fs::set_permissions(tools.join(name), fs::Permissions::from_mode(0o755))?;
    }
    checkout.environment.remove("BUILT");
    let path = format!("{}:{}", tools.display(), checkout.environment.get("PATH").context("PATH")?);
    let checkout = checkout.env("PATH", path);
    let mut keeper = Command::new("bash");
    keeper.args(["-c", &KEEPER.replace("stop-db", "down")]).current_dir(&checkout.root);
    keeper.env_clear().envs(&checkout.environment);
    let _keeper = Process::start("make down", keeper, &checkout.root.join("keeper.out"), Signal::TERM, None)?;

    let told = checkout.well(&["demo"])?;
    let mut settings = Settings::default();
    checkout.environment.iter().for_each(|(name, value)| settings.set(name, value));
    let opened = tpro_local::checkout::Checkout::open(checkout.root.clone(), settings)?;
    let mut ran = BTreeSet::from(["libpg_tpro.so", "tpro", "tpro-demo"].map(str::to_owned));
    for name in ["main-1", "analytic-1", "co-1", "jaeger"] {
        let pid = process::pid_of(&opened, name).context(format!("{name} does not run: {told}"))?;
        let program = release::program_of(pid).context(format!("the program of {name}"))?;
        ran.insert(program.file_name().context("a name")?.to_string_lossy().into_owned());
    }
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(&built)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "tpro.made" {
            found.insert(name);
        }
    }
    assert_eq!(found, ran, "{told}");

    // Both builds have the same crates, or these would be compiled twice with other features.
    let calls = fs::read_to_string(checkout.root.join("calls"))?;
    let left_out = |call: &str| -> BTreeSet<String> {
        let words: Vec<&str> = call.split(' ').collect();
        let pairs = words.windows(2).filter(|pair| pair[0] == "--exclude");
        pairs.map(|pair| pair[1].to_owned()).collect()
    };
    let [of_launcher, of_tpro] = calls.lines().collect::<Vec<_>>()[..] else {
        return Err(tpro_testkit::Failure::new(format!("a build of tpro and one of the rest: {calls}")));
    };
    assert_eq!(left_out(of_launcher), left_out(of_tpro));
    for package in ["tpro-models", "tpro-simulation", "tpro-chaos", "tpro-bench", "web_service"] {
        assert!(left_out(of_tpro).contains(package), "{package}: {calls}");
    }
    checkout.well(&["down"])?;
    Ok(())
}
