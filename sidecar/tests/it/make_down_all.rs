//! `make down-all-NAME`: on a service that has unsettled messages, and on the trace viewer.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use tpro_testkit::ports::free_port;
use tpro_testkit::{Outcome, Process, Signal, paths};

use crate::make_commands::Checkout;
use crate::make_upgrade::KEEPER;

#[test]
fn unsettled_messages_are_lost_only_when_somebody_says_so() -> Outcome {
    let checkout = Checkout::new("down-all")?.env("PG_PORT", free_port()?);
    // The library alone: what the target removes must not be the programs of this test.
    let built = checkout.root.join("target/debug");
    fs::create_dir_all(&built)?;
    symlink(paths::binaries()?.join("libpg_tpro.so"), built.join("libpg_tpro.so"))?;
    let mut keeper = Command::new("bash");
    keeper.args(["-c", KEEPER]).current_dir(&checkout.root).env_clear().envs(&checkout.environment);
    let _keeper =
        Process::start("make stop-db", keeper, &checkout.root.join("keeper.out"), Signal::TERM, None)?;
    checkout.well(&["up-db"])?;
    checkout.well(&["create-env-co"])?;
    checkout.well(&["create-sql-co"])?;
    let admin = |asked: &str| checkout.admin(&["--command", asked]);
    let (well, told) =
        admin("SELECT tpro.publish('a', 'b', 'c', sender => 'co') FROM generate_series(1, 3)")?;
    assert!(well, "{told}");

    let (well, told) = checkout.call("make", &["down-all-co"], &[])?;
    assert!(!well && told.contains("3 messages of co are unsettled") && told.contains("FORCE=yes"), "{told}");
    let left = "SELECT count(*) FROM co_service.mq_publish";
    assert_eq!(admin(left)?.1.trim(), "3");
    assert!(checkout.root.join("services/co/.env").exists(), "nothing is removed");

    let told = checkout.well(&["down-all-co", "FORCE=yes"])?;
    assert!(told.contains("schema, role and logs are removed"), "{told}");
    assert!(!checkout.root.join("services/co/.env").exists());
    let gone = "SELECT to_regnamespace('co_service') IS NULL";
    assert_eq!(admin(gone)?.1.trim(), "t");
    checkout.well(&["stop-db"])?;
    Ok(())
}

#[test]
fn the_trace_viewer_is_no_service_and_has_the_target_all_the_same() -> Outcome {
    let checkout = Checkout::new("down-all-jaeger")?;
    let kept = checkout.root.join(".local/run/jaeger.state");
    fs::create_dir_all(kept.parent().unwrap_or(&kept))?;
    fs::write(&kept, "ui=16687\n")?;
    let told = checkout.well(&["down-all-jaeger"])?;
    assert!(told.contains("nothing of it is left"), "{told}");
    assert!(!kept.exists());
    Ok(())
}
