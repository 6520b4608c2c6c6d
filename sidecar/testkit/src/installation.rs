//! A private installation of PostgreSQL with the extension in it, without touching the system's. It
//! is made once for each state of the extension, under a lock, and shared by all test processes.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use tpro_servers::account::Account;
use tpro_servers::extension::{Files, scripts};
use tpro_servers::files::remove;
use tpro_servers::pg_config::{PgConfig, usual};
use tpro_servers::tree::Tree;
use tpro_servers::{cluster, secret};

use crate::failure::{Context, Failure, Outcome};
use crate::paths;

/// A program that is not of the server, and finds the server by its own place.
const BACKUP: &str = "pg_basebackup";

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
        let pg_config = pg_config()?;
        let distribution = pg_config.ask("--bindir")?;
        let library = paths::extension_library()?;
        let name = format!("install-{:016x}", hash(&distribution, &library)?);
        let tree = Tree(root.join(&name));
        let in_use =
            File::create(root.join(format!("{name}.lock"))).context("opening an installation's lock")?;
        in_use.lock_shared().context("marking the installation as used")?;
        if !tree.0.exists() {
            tidy(&root, &name)?;
            make(&pg_config, library, &root.join("unfinished"), &tree.0).context("making an installation")?;
        }
        let programs = tree.within(&distribution);
        let template = root.join(format!("data-template-{}", pg_config.major));
        if !template.exists() {
            make_template(&programs, &root, &template)?;
        }
        let password =
            fs::read_to_string(root.join("password")).context("reading the superuser's password")?;
        Ok(Installation {
            tree: tree.0,
            programs,
            distribution,
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

/// The installation that the tests take: of PG_CONFIG, else of the one that the extension was built
/// for.
fn pg_config() -> Outcome<PgConfig> {
    let given = ["PG_CONFIG", "PGRX_PG_CONFIG_PATH"].iter().find_map(|key| {
        let given = env::var_os(key).filter(|given| !given.is_empty())?;
        Some(PathBuf::from(given))
    });
    let usual = || usual(&env::var("PATH").unwrap_or_default());
    Ok(PgConfig::checked(given.unwrap_or_else(usual))?)
}

/// Tells one state of the extension, and the PostgreSQL that it is for, from another.
fn hash(distribution: &Path, library: &Path) -> Outcome<u64> {
    let mut hasher = DefaultHasher::new();
    distribution.hash(&mut hasher);
    for file in scripts(&paths::checkout())?.iter().map(PathBuf::as_path).chain([library]) {
        fs::read(file).context(format!("reading {}", file.display()))?.hash(&mut hasher);
    }
    Ok(hasher.finish())
}

/// Makes an installation with the extension in it. It is whole or not there at all.
fn make(pg_config: &PgConfig, library: PathBuf, unfinished: &Path, tree: &Path) -> Outcome {
    remove(unfinished)?;
    let new = Tree(unfinished.to_path_buf());
    new.fill(pg_config, &[BACKUP])?;
    let libraries = new.within(&pg_config.ask("--pkglibdir")?);
    let share = new.within(&pg_config.ask("--sharedir")?);
    for file in (Files { library, libraries, share }).placed(&paths::checkout())? {
        file.put()?;
    }
    fs::rename(unfinished, tree).context("putting the installation into its place")
}

fn make_template(programs: &Path, root: &Path, template: &Path) -> Outcome {
    let unfinished = root.join("unfinished-data");
    remove(&unfinished)?;
    let password = root.join("password");
    // The templates of all versions have the same.
    if !password.exists() {
        secret::replace(&password, &secret::fresh()?)?;
        Account::of_postgres()?.own(&password)?;
    }
    initialise(programs, &password, &unfinished)?;
    fs::rename(&unfinished, template).context("putting the data template into its place")
}

/// Makes a data directory, with the superuser's password from a file.
fn initialise(programs: &Path, password: &Path, data: &Path) -> Outcome {
    let account = Account::of_postgres()?;
    fs::create_dir(data)?;
    account.own(data)?;
    let mut initdb = account.command(&programs.join("initdb"));
    cluster::initdb(initdb.current_dir(data).arg("--no-sync"), data, password);
    run(&mut initdb).context("making a PostgreSQL cluster")
}

fn run(command: &mut Command) -> Outcome {
    let output = command.output().context(format!("running {}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("{} ended with {}: {text}", command.get_program().display(), output.status)))
}
