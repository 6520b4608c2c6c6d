//! `make up-db` on a local database of the release before.

use std::fs;
use std::process::Command;

use tpro_testkit::database::released_service;
use tpro_testkit::ports::free_port;
use tpro_testkit::{Outcome, Process, Signal};

use crate::make_commands::Checkout;

/// Ends what make has started when the test is over or has died.
pub const KEEPER: &str =
    "trap '' INT HUP QUIT; trap 'kill $!; make stop-db; exit' TERM; sleep infinity & wait";

#[test]
fn make_up_db_upgrades_a_local_database_of_the_release_before() -> Outcome {
    let checkout = Checkout::new("upgrade")?.with_programs()?.env("PG_PORT", free_port()?);
    let mut keeper = Command::new("bash");
    keeper.args(["-c", KEEPER]).current_dir(&checkout.root).env_clear().envs(&checkout.environment);
    let _keeper =
        Process::start("make stop-db", keeper, &checkout.root.join("keeper.out"), Signal::TERM, None)?;

    let control = checkout.root.join("pg_tpro/pg_tpro.control");
    let now = fs::read_to_string(&control)?;
    fs::write(&control, now.replace("default_version = '0.1.1'", "default_version = '0.1.0'"))?;
    let told = checkout.well(&["up-db"])?;
    assert!(told.contains("extension pg_tpro created"), "{told}");
    let publish = "SELECT tpro.publish('a', 'b', 'c', sender => 'old');\n";
    fs::write(checkout.root.join("old.sql"), released_service("0.1.0", "old")? + publish)?;
    let (well, told) = checkout.admin(&["--file=old.sql"])?;
    assert!(well, "{told}");

    fs::write(&control, now)?;
    let told = checkout.well(&["up-db"])?;
    assert!(told.contains("extension pg_tpro 0.1.0 is 0.1.1 now"), "{told}");
    assert!(told.contains("services of an earlier release: 1 upgraded"), "{told}");
    let (well, left) = checkout.admin(&[
        "--command",
        "SELECT extversion, (SELECT count(*) FROM tpro.outdated('old')), (SELECT count(*) FROM old_service.mq_publish) \
         FROM pg_extension WHERE extname = 'pg_tpro'",
    ])?;
    assert!(well && left.trim() == "0.1.1|0|1", "{left}");
    let told = checkout.well(&["up-db"])?;
    assert!(told.contains("extension pg_tpro 0.1.1 is there") && !told.contains("has changed"), "{told}");
    checkout.well(&["stop-db"])?;
    Ok(())
}
