//! `make/setup.sh run`, by which each target calls `tpro local`: it builds `tpro` when it has to, and only then.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tpro_testkit::{Context, Outcome};

use crate::make_commands::Checkout;

/// A cargo that notes its calls, and makes a `tpro` that says its arguments.
const CARGO: &str = r#"#!/bin/bash
if [ "$1" = --version ]; then echo "cargo $CARGO_SAYS (a date)"; exit; fi
echo "$*" >>calls
printf '#!/bin/bash\necho "tpro was called: $*"\n' >target/debug/new
chmod 755 target/debug/new
mv -f target/debug/new target/debug/tpro
"#;

/// A checkout with that cargo, of this version, and without `tpro`.
fn with_cargo(name: &str, version: &str) -> Outcome<Checkout> {
    let mut checkout = Checkout::new(name)?.env("CARGO_SAYS", version);
    fs::remove_file(checkout.root.join("target/debug/tpro"))?;
    let tools = checkout.root.join("its tools");
    fs::create_dir(&tools)?;
    fs::write(tools.join("cargo"), CARGO)?;
    fs::set_permissions(tools.join("cargo"), fs::Permissions::from_mode(0o755))?;
    checkout.environment.remove("BUILT");
    let path = checkout.environment.get("PATH").context("PATH")?;
    let path = format!("{}:{path}", tools.display());
    // Nothing of rustup's own folder.
    let home = checkout.root.display().to_string();
    Ok(checkout.env("PATH", path).env("HOME", home))
}

/// The number of builds so far.
fn builds(checkout: &Checkout) -> usize {
    fs::read_to_string(checkout.root.join("calls")).unwrap_or_default().lines().count()
}

fn set_time(file: &Path, time: SystemTime) -> Outcome {
    Ok(File::options().write(true).open(file)?.set_modified(time)?)
}

#[test]
fn tpro_is_built_when_a_source_is_newer_and_not_otherwise() -> Outcome {
    let checkout = with_cargo("launcher", "99.0.0")?;
    let source = checkout.root.join("tools/tpro/src/main.rs");
    fs::create_dir_all(source.parent().context("a folder")?)?;
    fs::write(&source, "")?;
    let status = || -> Outcome<usize> {
        let told = checkout.well(&["status"])?;
        assert!(told.ends_with("tpro was called: local status\n"), "{told}");
        Ok(builds(&checkout))
    };
    assert_eq!(status()?, 1);
    assert_eq!(status()?, 1, "it is fresh");
    let now = SystemTime::now();
    set_time(&source, now + Duration::from_secs(3600))?;
    assert_eq!(status()?, 2, "a source is newer");
    let (well, told) = checkout.call("make", &["status"], &[("BUILT", "yes")])?;
    assert!(well && builds(&checkout) == 2, "BUILT=yes takes what is there: {told}");
    set_time(&source, now - Duration::from_secs(3600))?;
    assert_eq!(status()?, 2, "no source is newer");
    let calls = fs::read_to_string(checkout.root.join("calls"))?;
    assert!(calls.starts_with("build --workspace --bin tpro "), "{calls}");
    Ok(())
}

#[test]
fn a_machine_without_cargo_is_told_what_to_do() -> Outcome {
    let checkout = with_cargo("no-cargo", "1.0.0")?;
    let (well, told) = checkout.call("make", &["status"], &[])?;
    assert!(!well && told.contains(" or newer here: run make setup"), "{told}");
    let (well, told) = checkout.call("make", &["status"], &[("BUILT", "yes")])?;
    assert!(!well && told.contains("BUILT=yes, but there is no target/debug/tpro"), "{told}");
    assert_eq!(builds(&checkout), 0);
    Ok(())
}
