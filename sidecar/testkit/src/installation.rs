//! A private installation of PostgreSQL with the extension in it, without touching the system's.
//!
//! PostgreSQL finds its library and share folders relative to its own program. So a tree with
//! copies of the few programs and with links to everything else is an installation of its own, into
//! which the extension is put. It is made once for each state of the extension, under a lock, and
//! shared by all test processes.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::account::Account;
use crate::distribution::Distribution;
use crate::extension::Extension;
use crate::failure::{Context, Failure, Outcome};
use crate::paths;
use crate::secret::secret;

/// The installed tree and the data directory that clusters are copied from.
#[derive(Debug)]
pub struct Installation {
    tree: PathBuf,
    programs: PathBuf,
    distribution: PathBuf,
    template: PathBuf,
    password: String,
    // Held for as long as the installation may be in use, so that no other process tidies it away.
    _in_use: File,
}

impl Installation {
    /// The installation of the extension as it is built now; made if it is not there yet.
    pub fn current() -> Outcome<Installation> {
        let root = paths::run_root()?;
        let lock = File::create(root.join("lock")).context("opening the lock of the installations")?;
        lock.lock().context("locking the installations")?;

        sweep(&root)?;
        let distribution = Distribution::find()?;
        let extension = Extension::find()?;
        let name = format!("install-{:016x}", extension.hash()?);
        let tree = root.join(&name);
        let in_use =
            File::create(root.join(format!("{name}.lock"))).context("opening an installation's lock")?;
        in_use.lock_shared().context("marking the installation as used")?;
        if !tree.exists() {
            tidy(&root, &name)?;
            let unfinished = root.join("unfinished");
            remove(&unfinished)?;
            distribution.copy_to(&unfinished)?;
            extension.copy_to(&distribution, &unfinished)?;
            fs::rename(&unfinished, &tree).context("putting the installation into its place")?;
        }
        let programs = tree.join(distribution.relative(&distribution.programs)?);
        let template = root.join("data-template");
        if !template.exists() {
            make_template(&programs, &root, &template)?;
        }
        let password =
            fs::read_to_string(root.join("password")).context("reading the superuser's password")?;
        Ok(Installation {
            tree,
            programs,
            distribution: distribution.programs,
            template,
            password: password.trim().to_owned(),
            _in_use: in_use,
        })
    }

    /// A copy of it in a folder, where a test may replace the extension.
    pub fn copy_to(mut self, folder: &Path) -> Outcome<Installation> {
        let copy = folder.join("installation");
        run(Command::new("cp").arg("-a").arg(&self.tree).arg(&copy)).context("copying the installation")?;
        self.programs = copy.join(self.programs.strip_prefix(&self.tree)?);
        self.tree = copy;
        Ok(self)
    }

    /// One of its programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// A client program. That of the distribution will do.
    pub fn client_program(&self, name: &str) -> PathBuf {
        self.distribution.join(name)
    }

    /// The superuser's password in every cluster.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Makes a cluster at `data`, which must not exist, with a system identifier of its own.
    pub fn initialise(&self, data: &Path) -> Outcome {
        let root = self.template.parent().context("the data template has no folder")?;
        initialise(&self.programs, &root.join("password"), data)
    }

    /// Copies the template to `data`, which must not exist.
    pub fn make_data(&self, data: &Path) -> Outcome {
        run(Command::new("cp").arg("-a").arg(&self.template).arg(data)).context("copying the data directory")
    }
}

/// Removes the leftovers of killed test processes: their folders are named `<what>-<process
/// id>-<number>`.
fn sweep(root: &Path) -> Outcome {
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let mut parts = name.split('-');
        let owner = match (parts.next(), parts.next(), parts.next()) {
            (Some("cluster" | "nats" | "world"), Some(pid), Some(_)) => pid,
            _ => continue,
        };
        if !Path::new("/proc").join(owner).exists() {
            // Its watcher may be removing it at this moment.
            let _ = fs::remove_dir_all(&path);
        }
    }
    Ok(())
}

/// Removes the installations that nobody uses any more, and their locks. Nobody can open one
/// meanwhile, since that is done under the lock of all installations.
fn tidy(root: &Path, but: &str) -> Outcome {
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let Some(tree) =
            name.strip_suffix(".lock").filter(|tree| tree.starts_with("install-") && *tree != but)
        else {
            continue;
        };
        if File::open(&path)?.try_lock().is_ok() {
            remove(&root.join(tree))?;
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn make_template(programs: &Path, root: &Path, template: &Path) -> Outcome {
    let account = Account::of_postgres()?;
    let unfinished = root.join("unfinished-data");
    remove(&unfinished)?;
    let password = root.join("password");
    fs::write(&password, secret()?)?;
    fs::set_permissions(&password, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    account.own(&password)?;
    initialise(programs, &password, &unfinished)?;
    fs::rename(&unfinished, template).context("putting the data template into its place")?;
    Ok(())
}

/// Makes a data directory by `initdb`, with the superuser's password from a file.
fn initialise(programs: &Path, password: &Path, data: &Path) -> Outcome {
    let account = Account::of_postgres()?;
    fs::create_dir(data)?;
    account.own(data)?;
    run(account
        .command(&programs.join("initdb"))
        .current_dir(data)
        .args([
            "--username=postgres",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ])
        .arg(format!("--pwfile={}", password.display()))
        .arg("--pgdata")
        .arg(data))
    .context("making a PostgreSQL cluster")
}

fn remove(path: &Path) -> Outcome {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context(format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn run(command: &mut Command) -> Outcome {
    let output = command.output().context(format!("running {}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("{} ended with {}: {text}", command.get_program().display(), output.status)))
}
