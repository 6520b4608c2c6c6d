//! The settings that a service declares as a type, and the state that it makes of them.

use std::process::Command;

use tpro_testkit::{Context, Outcome, paths};

use crate::rogue::Rogue;

/// The exit code, and all lines of `analytic_service --check` with these settings.
fn check(settings: &[(&str, &str)]) -> Outcome<(Option<i32>, String)> {
    let mut analytic = Command::new(paths::binary("analytic_service", "analytic_service")?);
    // A folder without a `.env`.
    analytic.current_dir(paths::run_root()?).env_clear().arg("--check");
    let done = analytic.envs(settings.iter().copied()).output().context("starting analytic_service")?;
    let lines = [done.stdout, done.stderr].concat();
    Ok((done.status.code(), String::from_utf8_lossy(&lines).into_owned()))
}

#[test]
fn a_setting_of_a_service_is_refused_together_with_all_others() -> Outcome {
    let (code, said) = check(&[("EXAMPLE_PAUSE_MS", "a while"), ("SERVICE_PORT", "eighty")])?;
    assert_eq!(code, Some(2), "{said}");
    let pause = "EXAMPLE_PAUSE_MS=a while (environment): must be a whole number from 0 to 4294967295";
    assert!(said.lines().any(|line| line == pause), "{said}");
    assert!(said.contains("DATABASE_URL: not set") && said.contains("SERVICE_PORT=eighty"), "{said}");
    Ok(())
}

#[test]
fn a_setting_of_a_service_has_its_default_and_its_help() -> Outcome {
    let (code, said) = check(&[("DATABASE_URL", "postgresql://analytic:canary@127.0.0.1/app")])?;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("EXAMPLE_PAUSE_MS=200 (default)") && !said.contains("canary"), "{said}");
    let analytic = paths::binary("analytic_service", "analytic_service")?;
    let help = Command::new(analytic).arg("--help").output().context("asking for help")?;
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let line = "a visible pause in each step of the examples, in milliseconds; 0 turns it off [200]";
    assert!(help.contains(line), "{help}");
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_whose_state_cannot_be_made_ends_with_the_reason() -> Outcome {
    let world = Rogue::world().await?;
    let copy = world.spawn(Rogue::copy(&world, 1)?.env("ROGUE_STATE", "fails"))?;
    let exit = copy.wait().await?;
    let log = copy.log();
    assert_eq!(exit.code(), Some(1), "{log}");
    assert!(log.contains("stopped: the state of the service cannot be made: told to fail"), "{log}");
    world.finish(&[]).await?;
    Ok(())
}
