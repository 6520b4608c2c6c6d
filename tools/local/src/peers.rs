//! The job queues that `make bench PEERS=1` measures beside tpro: each is installed below
//! `.local/peers` from its folder in tools/bench/peers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome, fail};
use crate::progress::logged;

/// The folder with the manifests and workers.
const SOURCES: &str = "tools/bench/peers";
/// The mark of a peer that is installed: its manifest. The benchmark looks for it.
const MARK: &str = "installed";

/// A program that installs packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Installer {
    Npm,
    Python,
}

/// A peer.
struct Peer {
    name: String,
    source: PathBuf,
    folder: PathBuf,
    installer: Installer,
}

/// Installs what is not there yet. A peer that cannot be installed is left out of the benchmark:
/// that is said, with the remedy.
pub fn install(checkout: &Checkout) -> Outcome {
    let _alone = checkout.lock("peers")?;
    for peer in all(&checkout.path(SOURCES), &checkout.local().join("peers"))? {
        if let Err(failure) = peer.install(checkout) {
            checkout.screen.warn(format!("{} is left out: {failure}", peer.name));
        }
    }
    Ok(())
}

/// The peers of the folder `sources`, each with its place in the folder `places`.
fn all(sources: &Path, places: &Path) -> Outcome<Vec<Peer>> {
    let mut peers = Vec::new();
    for source in entries(sources)? {
        let name = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let known = [Installer::Npm, Installer::Python];
        if let Some(installer) = known.into_iter().find(|it| source.join(it.manifest()).is_file()) {
            let folder = places.join(&name);
            peers.push(Peer { name, source, folder, installer });
        }
    }
    peers.sort_by(|peer, other| peer.name.cmp(&other.name));
    Ok(peers)
}

impl Installer {
    /// The file that names the packages.
    fn manifest(self) -> &'static str {
        match self {
            Self::Npm => "package.json",
            Self::Python => "requirements.txt",
        }
    }

    /// A command that succeeds if this can install.
    fn probe(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Npm => ("npm", &["--version"]),
            Self::Python => ("python3", &["-c", "import ensurepip, venv"]),
        }
    }

    /// The lack that keeps it from installing, and the remedy.
    fn lack(self) -> &'static str {
        match self {
            Self::Npm => "npm is missing: install Node.js with npm (apt-get install npm), and run this again",
            Self::Python => {
                "python3 with venv is missing: install it (apt-get install python3-venv), and run this again"
            }
        }
    }

    /// The commands that install the manifest in the current folder. No word of them has a blank.
    fn commands(self) -> &'static [&'static str] {
        match self {
            Self::Npm => {
                &["npm install --omit=dev --no-package-lock --no-audit --no-fund --no-update-notifier"]
            }
            Self::Python => &[
                "python3 -m venv --clear venv",
                "venv/bin/python -m pip install --disable-pip-version-check --no-input -r requirements.txt",
            ],
        }
    }
}

impl Peer {
    fn install(&self, checkout: &Checkout) -> Outcome {
        let manifest = self.installer.manifest();
        let wanted = read(&self.source.join(manifest))?;
        let mark = self.folder.join(MARK);
        // Its worker may have changed, where its packages have not.
        let is_installed = fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted);
        if !is_installed {
            remove(&self.folder)?;
        }
        self.copy_sources()?;
        if is_installed {
            return Ok(());
        }
        if !self.can_install(checkout) {
            return fail(self.installer.lack());
        }
        let (log, label) = (format!("logs/{}.log", self.name), format!("installing {}", self.name));
        for line in self.installer.commands() {
            let mut words = line.split(' ');
            let program = Path::new(words.next().unwrap_or_default());
            let own = self.folder.join(program);
            let mut command = checkout.command(if own.is_file() { own.as_path() } else { program });
            command.args(words).current_dir(&self.folder);
            logged(checkout, &log, &label, command)?;
        }
        fs::write(&mark, wanted).context(format!("writing {}", mark.display()))
    }

    fn can_install(&self, checkout: &Checkout) -> bool {
        let (program, arguments) = self.installer.probe();
        let mut probe: Command = checkout.command(program);
        probe.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    }

    fn copy_sources(&self) -> Outcome {
        fs::create_dir_all(&self.folder).context(format!("making {}", self.folder.display()))?;
        for path in entries(&self.source)? {
            if let Some(name) = path.file_name().filter(|_| path.is_file()) {
                let copy = self.folder.join(name);
                fs::copy(&path, &copy).context(format!(
                    "copying {} to {}",
                    path.display(),
                    copy.display()
                ))?;
            }
        }
        Ok(())
    }
}

fn entries(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let told = || format!("reading {}", folder.display());
    let entries = fs::read_dir(folder).context(told())?;
    entries.map(|entry| Ok(entry.context(told())?.path())).collect()
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).context(format!("reading {}", path.display()))
}

fn remove(folder: &Path) -> Outcome {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context(format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_has_a_manifest_with_exact_versions_and_names_no_registry() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("."));
        let peers = all(&root.join(SOURCES), Path::new(".local/peers")).expect("they are listed");
        let names: Vec<&str> = peers.iter().map(|peer| peer.name.as_str()).collect();
        assert_eq!(names, ["graphile-worker", "pg-boss", "pgmq", "procrastinate"]);
        for peer in &peers {
            let manifest = read(&peer.source.join(peer.installer.manifest())).expect("is there");
            assert!(
                !manifest.contains("://") && !manifest.contains(['^', '~', '*', '>', '<']),
                "{}: {manifest}",
                peer.name
            );
        }
    }
}
