//! The crates of the house stand on each other: an arrow points down only.

use std::{fs, path::Path};

use tpro_testkit::{Context, Outcome, paths::checkout};

/// The floors, the lowest first. Crates of one floor do not know each other.
const FLOORS: [&[&str]; 5] = [
    &["tpro-wire", "tpro-http", "contracts"],
    &["tpro-runtime"],
    &["tpro-dispatcher", "tpro-service", "tpro-maintenance"],
    &["tpro-sidecar"],
    // And every service.
    &[],
];
/// The only crates that a service may see.
const FOR_SERVICES: [&str; 2] = ["tpro-sidecar", "contracts"];

/// The problems with the needs of a crate.
pub(crate) fn problems(folder: &Path) -> Outcome<Vec<String>> {
    let manifest = fs::read_to_string(folder.join("Cargo.toml"))?;
    let name = package(&manifest).context("a crate has a name")?;
    let is_service = folder.starts_with(checkout().join("services")) && name != "contracts";
    let own = if is_service { Some(FLOORS.len() - 1) } else { floor(name) };
    let Some(own) = own else { return Ok(Vec::new()) };
    let mut problems = Vec::new();
    for needed in dependencies(&manifest) {
        // A service, or a tool: neither is for others.
        let is_other = floor(needed).is_none() && checkout().join("services").join(service(needed)).exists();
        if is_other || floor(needed).is_some_and(|needed| needed >= own) {
            problems.push(format!("{name} needs {needed}, which does not lie below it"));
        } else if is_service && needed.starts_with("tpro-") && !FOR_SERVICES.contains(&needed) {
            problems.push(format!("{name} needs {needed}: a service sees {FOR_SERVICES:?}"));
        }
    }
    Ok(problems)
}

fn floor(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&name))
}

fn service(package: &str) -> &str {
    package.strip_suffix("_service").unwrap_or(package)
}

fn package(manifest: &str) -> Option<&str> {
    manifest.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
}

/// What the crate itself needs; its tests may need more.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let mut in_table = false;
    manifest.lines().filter_map(move |line| {
        if line.starts_with('[') {
            in_table = line == "[dependencies]";
            return None;
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let end = line.find(|c| !is_name(c)).unwrap_or(line.len());
        (in_table && end > 0).then(|| &line[..end])
    })
}
