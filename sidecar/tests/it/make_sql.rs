//! `make create-NAME LANG=sql`: a service without a crate, from nothing to an answer.

use std::fs;
use std::process::Command;

use tpro_testkit::ports::free_port;
use tpro_testkit::{Outcome, Process, Signal, paths};

use crate::make_commands::Checkout;

/// Ends what make has started when the test is over or has died.
const KEEPER: &str = "trap '' INT HUP QUIT; trap 'kill $!; make down; exit' TERM; sleep infinity & wait";

/// Asks the service, which also asks: one copy is enough.
const ASK: &str = "SELECT tpro.publish('shop', 'example', 'simple', :'body', sender => 'shop') AS id \\gset
    SELECT status, coalesce(result, error) FROM tpro.wait(:id, 30, 'shop');\n";

fn ask(checkout: &Checkout, body: &str) -> Outcome<String> {
    fs::write(checkout.root.join("ask.sql"), ASK)?;
    let (well, told) = checkout.admin(&["--set", &format!("body={body}"), "--file=ask.sql"])?;
    assert!(well, "{told}");
    Ok(told.trim().to_owned())
}

#[test]
fn a_service_without_a_crate_is_made_applied_and_answers() -> Outcome {
    let mut checkout = Checkout::new("sql")?.with_programs()?;
    for port in ["PG_PORT", "NATS_PORT", "NATS_MONITOR_PORT", "OTLP_PORT", "JAEGER_PORT"] {
        checkout = checkout.env(port, free_port()?);
    }
    let mut keeper = Command::new("bash");
    keeper.args(["-c", KEEPER]).current_dir(&checkout.root).env_clear().envs(&checkout.environment);
    let _keeper = Process::start("make down", keeper, &checkout.root.join("keeper.out"), Signal::TERM, None)?;

    let told = checkout.well(&["create-shop", "LANG=sql"])?;
    assert!(told.contains("services/sql/shop made") && told.contains("make up-shop runs it"), "{told}");
    assert!(!checkout.root.join("services/shop").exists());
    assert!(checkout.root.join("services/sql/shop/README.md").exists());
    for language in ["LANG=sql", "LANG=ru_RU.UTF-8"] {
        let (well, told) = checkout.call("make", &["create-shop", language], &[])?;
        assert!(!well && told.contains("services/sql/shop is there already"), "{told}");
    }
    let port = free_port()?.to_string();
    let told = checkout.well(&["up-shop", &format!("SERVICE_PORT={port}")])?;
    assert!(told.contains("scripts of SQL applied: 1") && told.contains("ready in"), "{told}");
    assert_eq!(ask(&checkout, r#"{"name": "Ann"}"#)?, r#"ok|{"from": "shop", "hello": "Ann"}"#);
    assert_eq!(
        ask(&checkout, "{}")?,
        r#"error|{"code": -32602, "data": {"field": "name"}, "message": "field name is missing"}"#
    );

    // A file that is saved is applied by the next `make up`, and the copy goes on.
    let script = checkout.root.join("services/sql/shop/sql/example.simple.sql");
    let text = fs::read_to_string(&script)?;
    fs::write(&script, text.replace("'hello'", "'hi'"))?;
    let told = checkout.well(&["up-shop"])?;
    assert!(told.contains("running already"), "{told}");
    assert_eq!(ask(&checkout, r#"{"name": "Ann"}"#)?, r#"ok|{"hi": "Ann", "from": "shop"}"#);
    let (well, told) = checkout.call("make", &["status"], &[])?;
    assert!(well && told.contains("shop"), "{told}");

    checkout.well(&["down-all-shop", "FORCE=yes"])?;
    assert!(script.exists(), "its source stays");
    assert!(paths::binary("tpro-service", "tpro-sql-service").is_ok(), "it is that of other services, too");
    checkout.well(&["down"])?;
    Ok(())
}
