//! `make/setup.sh run`, by which each target calls `tpro local`: it builds `tpro` when it has to, and only then.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tpro_testkit::{Context, Outcome};

use crate::make_commands::Checkout;

/// A cargo that notes its calls, and makes a `tpro` that says its arguments. A file `broken` stands
/// for sources that do not compile, a file `edit` for a source that is edited during the build.
const CARGO: &str = r#"#!/bin/bash
if [ "$1" = --version ]; then echo "cargo $CARGO_SAYS (a date)"; exit; fi
echo "$*" >>calls
if [ -e broken ]; then echo "does not compile"; exit 101; fi
if [ -e edit ]; then sleep 0.1; mv -f edit tools/tpro/src/main.rs; touch tools/tpro/src/main.rs; sleep 0.1; fi
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

/// A source of `tpro`.
fn source_of(checkout: &Checkout) -> Outcome<PathBuf> {
    let source = checkout.root.join("tools/tpro/src/main.rs");
    fs::create_dir_all(source.parent().context("a folder")?)?;
    fs::write(&source, "")?;
    Ok(source)
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
    let source = source_of(&checkout)?;
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
fn an_edit_during_the_build_is_built_by_the_next_one() -> Outcome {
    let checkout = with_cargo("edited", "99.0.0")?;
    source_of(&checkout)?;
    fs::write(checkout.root.join("edit"), "")?;
    checkout.well(&["status"])?;
    assert_eq!(builds(&checkout), 1);
    checkout.well(&["status"])?;
    assert_eq!(builds(&checkout), 2, "the source is newer than the start of its build");
    checkout.well(&["status"])?;
    assert_eq!(builds(&checkout), 2, "it is fresh");
    Ok(())
}

#[test]
fn services_can_be_stopped_while_the_sources_do_not_compile() -> Outcome {
    let checkout = with_cargo("broken", "99.0.0")?;
    let source = source_of(&checkout)?;
    let broken = checkout.root.join("broken");
    fs::write(&broken, "")?;
    let (well, told) = checkout.call("make", &["stop-co"], &[])?;
    assert!(!well && told.contains("building tpro failed"), "there is no earlier tpro: {told}");
    fs::remove_file(&broken)?;
    checkout.well(&["status"])?;
    fs::write(&broken, "")?;
    set_time(&source, SystemTime::now() + Duration::from_secs(3600))?;
    let told = checkout.well(&["stop-co"])?;
    assert!(told.contains("tpro was called: local stop -- co\n"), "{told}");
    for line in ["does not compile", "building tpro failed", "warning: target/debug/tpro could not be"] {
        assert!(told.contains(line), "{line}: {told}");
    }
    // The next call tries again.
    fs::remove_file(&broken)?;
    let told = checkout.well(&["stop-co"])?;
    assert!(!told.contains("could not be built") && builds(&checkout) == 4, "{told}");
    Ok(())
}

#[test]
fn a_pg_config_of_another_major_version_is_refused() -> Outcome {
    let checkout = Checkout::new("pg-config")?;
    let program = checkout.root.join("pg_config");
    fs::write(&program, "#!/bin/sh\necho 'PostgreSQL 12.22'\n")?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let given = program.display().to_string();
    let (well, told) = checkout.call("make", &["setup"], &[("PG_CONFIG", given.as_str())])?;
    let refused = format!("{given} is of PostgreSQL 12.22: the extension is built for PostgreSQL 13 to 18");
    assert!(!well && told.contains(&refused), "{told}");
    Ok(())
}

#[test]
fn a_setup_reads_the_runtime_in_each_form_of_the_grammar() -> Outcome {
    let checkout = with_cargo("runtime", "99.0.0")?;
    let tools = checkout.root.join("its tools");
    let program = |name: &str, text: &str| -> Outcome<String> {
        let program = tools.join(name);
        fs::write(&program, format!("#!/bin/sh\necho '{text}'\n"))?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        Ok(program.display().to_string())
    };
    // The toolchain is there, and PostgreSQL is of a version that only containers can do with.
    let pinned = fs::read_to_string(checkout.root.join("rust-toolchain.toml"))?;
    let pinned = pinned.lines().find_map(|line| line.strip_prefix("channel = \"")).context("a channel")?;
    program("rustup", &format!("{}-x86_64-unknown-linux-gnu", pinned.trim_end_matches('"')))?;
    let given = program("pg_config", "PostgreSQL 12.22")?;
    let setup = |file: &str, environment: &[(&str, &str)]| -> Outcome<bool> {
        fs::write(checkout.root.join(".env"), file)?;
        let environment = [&[("PG_CONFIG", given.as_str())], environment].concat();
        let (well, told) = checkout.call("make", &["setup"], &environment)?;
        assert!(well || told.contains("is of PostgreSQL 12.22"), "{file:?}: {told}");
        Ok(well)
    };
    for containers in [
        "RUNTIME=docker\n",
        "RUNTIME=native\nRUNTIME=docker",
        " export RUNTIME = docker # a comment\r\n",
        "RUNTIME='docker'\nBINARIES=\n",
        "RUNTIME=\"docker\" # a comment\n# BINARIES=given\n",
    ] {
        assert!(setup(containers, &[])?, "{containers:?}");
        assert!(setup(containers, &[("RUNTIME", " ")])?, "blank: {containers:?}");
        assert!(!setup(containers, &[("RUNTIME", "native")])?, "the environment wins: {containers:?}");
    }
    for native in
        ["", "#RUNTIME=docker\n", "RUNTIME=docker\nexport BINARIES='given'\n", "RUNTIME='docker'x\n"]
    {
        assert!(!setup(native, &[])?, "{native:?}");
    }
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
