//! The address of the database, as the services read it.

use std::process::Command;

use tpro_testkit::{Context, Outcome, paths};

use crate::tool::{run, tpro};

/// Nobody listens on port 1.
const SETTINGS: [&[(&str, &str)]; 14] = [
    &[("DATABASE_URL", "postgresql://main:canary@127.0.0.1:1/app")],
    &[("DATABASE_URL", "postgresql://main@127.0.0.1:1"), ("PGPASSWORD", "canary"), ("PGDATABASE", "app")],
    &[("DATABASE_URL", "  host=127.0.0.1 port=1 user=main password='can ary' dbname=app ")],
    &[("DATABASE_URL", "postgresql://main:canary@127.0.0.1:1,127.0.0.1:1/app?target_session_attrs=primary")],
    &[("DATABASE_URL", " "), ("PGHOSTADDR", "127.0.0.1"), ("PGPORT", "1"), ("PGUSER", "main")],
    &[("PGHOST", "/nonexistent"), ("PGUSER", "main"), ("PGSSLMODE", "prefer"), ("PGCONNECT_TIMEOUT", "3s")],
    &[],
    &[("DATABASE_URL", "mysql://main:canary@127.0.0.1:1/app")],
    &[("DATABASE_URL", "postgresql://main:canary@127.0.0.1:1/app?sslmode=require")],
    &[("DATABASE_URL", "postgresql://main:canary@127.0.0.1:1/app?schema=public")],
    &[("DATABASE_URL", "postgresql://main:canary@127.0.0.1:1/app"), ("PGSSLMODE", "require")],
    &[("PGHOST", "127.0.0.1"), ("PGPORT", "0")],
    &[("PGHOSTADDR", "localhost"), ("PGUSER", "main")],
    &[("PGHOST", "127.0.0.1"), ("PGPORT", "1"), ("PGCONNECT_TIMEOUT", "1h")],
];

#[test]
fn each_address_is_read_and_refused_as_a_service_does_it() -> Outcome {
    for settings in SETTINGS {
        let service = Command::new(paths::binary("main_service", "main_service")?)
            .arg("--check")
            .env_clear()
            .env("NATS_URL", "nats://127.0.0.1:1")
            .env("SERVICE_PORT", "1")
            .envs(settings.iter().copied())
            .current_dir(paths::run_root()?)
            .output()
            .context("running main_service")?;
        let said = String::from_utf8(service.stdout)? + &String::from_utf8(service.stderr)?;
        let ran = run(tpro(&["status"]).envs(settings.iter().copied()))?;
        assert!(!ran.err.contains("canary") && !ran.err.contains("can ary"), "{settings:?}: {ran:?}");
        if !service.status.success() {
            assert_eq!(ran.code, 2, "{settings:?}: {ran:?} {said}");
            continue;
        }
        // It asks in vain for what the service would ask for.
        let (_, behind) = said.split_once("DATABASE_URL=postgresql://").context(said.clone())?;
        let address = behind.split(' ').next().unwrap_or_default().replacen(":***@", "@", 1);
        assert_eq!(ran.code, 3, "{settings:?}: {ran:?}");
        assert!(
            ran.err.contains(&format!("no connection to postgresql://{address} (")),
            "{address}: {ran:?}"
        );
    }
    Ok(())
}
