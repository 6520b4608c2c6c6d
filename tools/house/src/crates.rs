//! The crates of the workspace stand on floors, and an arrow points down only.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{arrows, checkout, modules};

/// The floors, the lowest first. Crates of one floor do not know each other.
const FLOORS: [&[&str]; 6] = [
    &["tpro-wire", "tpro-schema", "tpro-dotenv", "tpro-http", "tpro-tls", "tpro-macros"],
    &["tpro-runtime"],
    &["tpro-dispatcher", "tpro-service", "tpro-maintenance"],
    &["tpro-sidecar"],
    &["contracts"],
    // And every service.
    &[],
];
/// The only crates of ours that a service may see.
const FOR_SERVICES: [&str; 2] = ["tpro-sidecar", "contracts"];

/// A crate of the workspace.
#[derive(Debug)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its folder, seen from the root of the checkout.
    pub folder: String,
    /// The crates of the workspace that it needs. Its tests may need more.
    pub needs: Vec<String>,
}

impl Crate {
    /// The floor that the crate stands on. Tools and what tests run on stand beside the house.
    pub fn floor(&self) -> Option<usize> {
        if self.is_service() { Some(FLOORS.len() - 1) } else { floor(&self.name) }
    }

    fn is_service(&self) -> bool {
        self.name.ends_with("_service")
    }

    /// The arrows of the crate that do not point down.
    pub fn problems(&self) -> Vec<String> {
        let Some(own) = self.floor() else { return Vec::new() };
        let mut problems = Vec::new();
        for needed in &self.needs {
            // Services and tools stand on no floor that others may need.
            if floor(needed).is_none_or(|needed| needed >= own) {
                problems.push(format!("{} needs {needed}, which does not lie below it", self.name));
            } else if self.is_service() && !FOR_SERVICES.contains(&needed.as_str()) {
                problems.push(format!("{} needs {needed}: a service sees {FOR_SERVICES:?}", self.name));
            }
        }
        problems
    }

    /// The folder of its sources.
    pub fn sources(&self) -> PathBuf {
        checkout().join(&self.folder).join("src")
    }

    /// The number of its modules, and the circles among them.
    pub fn circles(&self) -> io::Result<(usize, Vec<String>)> {
        let modules = modules::read(&self.sources())?;
        let mut circles = Vec::new();
        for (parent, arrows) in arrows::by_parent(&modules) {
            let place = [vec![format!("{}/src", self.folder)], parent].concat().join("/");
            circles.extend(arrows.circles().into_iter().map(|circle| format!("{place}: {circle}")));
        }
        Ok((modules.len(), circles))
    }
}

/// The crates of the workspace, by their folders.
pub fn all() -> io::Result<Vec<Crate>> {
    let mut found = Vec::new();
    find(&checkout(), &mut found)?;
    found.sort();
    let mut crates = Vec::new();
    for folder in found {
        let manifest = fs::read_to_string(folder.join("Cargo.toml"))?;
        let Some(name) = package(&manifest) else { continue };
        let within = folder.strip_prefix(checkout()).unwrap_or(&folder).display().to_string();
        let needs = dependencies(&manifest).map(str::to_owned).collect();
        crates.push(Crate { name: name.to_owned(), folder: within, needs });
    }
    let names: Vec<String> = crates.iter().map(|it| it.name.clone()).collect();
    for it in &mut crates {
        it.needs.retain(|needed| names.contains(needed));
    }
    Ok(crates)
}

fn find(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_left_out = name.starts_with('.') || ["target", "src", "tests"].contains(&name.as_str());
        if entry.file_type()?.is_dir() && !is_left_out {
            find(&entry.path(), found)?;
        }
    }
    if folder.join("Cargo.toml").exists() && folder.join("src").exists() {
        found.push(folder.to_path_buf());
    }
    Ok(())
}

fn floor(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&name))
}

fn package(manifest: &str) -> Option<&str> {
    manifest.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_that_points_up_or_beside_is_a_problem() {
        let problems = |name: &str, needs: &[&str]| {
            let needs = needs.iter().map(|it| (*it).to_owned()).collect();
            Crate { name: name.to_owned(), folder: String::new(), needs }.problems()
        };
        assert_eq!(problems("tpro-service", &["tpro-wire", "tpro-runtime"]), Vec::<String>::new());
        for (name, needed) in [
            ("tpro-wire", "tpro-runtime"),
            ("tpro-service", "tpro-dispatcher"),
            ("tpro-sidecar", "main_service"),
            ("tpro-runtime", "tpro-testkit"),
            ("main_service", "co_service"),
            ("main_service", "tpro-wire"),
        ] {
            assert_eq!(problems(name, &[needed]).len(), 1, "{name} needs {needed}");
        }
        assert_eq!(problems("tpro-chaos", &["tpro-testkit"]), Vec::<String>::new());
    }
}
