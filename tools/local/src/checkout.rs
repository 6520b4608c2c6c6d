//! The checkout that a command works on: its places, its settings, its screen and its locks.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
use tpro_servers::files::first_line;

use crate::failure::{Context as _, Failure, Outcome};
use crate::lock::{Lock, Locks};
use crate::runtime::Runtime;
use crate::say::Screen;
use crate::settings::Settings;

/// Variables that make's own recursion adds. They would reach cargo, which would look for a job
/// server that is not there.
const OF_MAKE: [&str; 4] = ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"];

/// Files that only a checkout of tpro has. The folder of another project often has a Makefile and
/// a folder `make`, and its own logs/ and .local are not ours to claim or to clean.
const OF_CHECKOUT: [&str; 3] = ["Makefile", "make/service.env", "docker/nats.conf"];

/// The checkout.
#[derive(Debug)]
pub struct Checkout {
    /// Its folder. Everything is addressed from here.
    pub root: PathBuf,
    /// The settings of this command.
    pub settings: Settings,
    /// The output of this command.
    pub screen: Screen,
    /// The way in which everything runs.
    pub runtime: Runtime,
    /// The language of the person, for what is written for people.
    language: String,
    locks: Locks,
}

impl Checkout {
    /// The checkout that is the current folder, ready for a command.
    pub fn here() -> Outcome<Self> {
        guard_the_process()?;
        let root = std::env::current_dir().and_then(fs::canonicalize).context("the current folder")?;
        if !OF_CHECKOUT.iter().all(|file| root.join(file).is_file()) {
            return Err(Failure::new(format!("{} is no checkout of tpro", root.display()))
                .remedy("run tpro local in the folder of the Makefile"));
        }
        Self::open(root, Settings::of_process())
    }

    /// The checkout in this folder, with these settings.
    pub fn open(root: PathBuf, mut settings: Settings) -> Outcome<Self> {
        settings.take_file(&root.join(".env"));
        let screen = Screen::new(|key| settings.get(key));
        let language = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(|key| settings.get(key));
        OF_MAKE.iter().for_each(|key| settings.remove(key));
        // One number format and one language for the messages that are read here.
        settings.set("LC_ALL", "C.UTF-8");
        // nats-server lies in /usr/sbin, which an ordinary user's PATH leaves out.
        let path = settings.get("PATH").unwrap_or_default();
        if !path.split(':').any(|folder| folder == "/usr/sbin") {
            settings.set("PATH", format!("{path}:/usr/sbin"));
        }
        let language = language.unwrap_or_default();
        let runtime = Runtime::chosen(&settings)?;
        let mut checkout = Self { root, settings, screen, runtime, language, locks: Locks::default() };
        checkout.claim()?;
        checkout.settings.forget_leftovers(&checkout.screen);
        Ok(checkout)
    }

    /// A path in the checkout.
    pub fn path(&self, within: impl AsRef<Path>) -> PathBuf {
        self.root.join(within)
    }

    /// The folder of what belongs to the local installation.
    pub fn local(&self) -> PathBuf {
        self.path(".local")
    }

    /// The folder with the memory of the processes, or of the containers.
    pub fn run_folder(&self) -> PathBuf {
        self.path(match self.runtime {
            Runtime::Native => ".local/run",
            Runtime::Docker => ".local/docker/run",
        })
    }

    /// The folder of the logs.
    pub fn logs(&self) -> PathBuf {
        self.path("logs")
    }

    /// The folder that cargo builds into.
    pub fn target(&self) -> PathBuf {
        self.settings.get("CARGO_TARGET_DIR").map_or_else(|| self.path("target"), |folder| self.path(folder))
    }

    /// The template of a file that people read, below `make`, in their language.
    pub fn template(&self, name: &str) -> String {
        if self.person_is_russian() { format!("make/ru/{name}") } else { format!("make/{name}") }
    }

    /// True if texts for people are to be Russian.
    pub fn person_is_russian(&self) -> bool {
        self.language.starts_with("ru")
    }

    /// A program to be run in the checkout, with the settings as its environment.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).env_clear().envs(self.settings.all());
        command
    }

    /// Locks a part of the installation, for as long as the lock lives.
    pub fn lock(&self, name: &str) -> Outcome<Lock> {
        self.locks.take(&self.path(".local/lock"), name, &self.screen)
    }

    /// `.local` says which checkout made it. One that came along when the folder was copied holds
    /// process ids, ports and places of the original, whose services it would stop and whose
    /// database it would remove: it is taken away.
    fn claim(&self) -> Outcome {
        let (local, mark) = (self.local(), self.path(".local/checkout"));
        // Releases before 0.1.1 left their mark in the cluster only.
        let of_cluster = || {
            first_line(&local.join("postgres.place"))
                .and_then(|place| first_line(&Path::new(&place).join("checkout")))
        };
        let maker = first_line(&mark).or_else(of_cluster);
        if let Some(maker) = maker.as_deref().filter(|maker| self.is_anothers(Path::new(maker))) {
            self.screen.note_aside(format!(
                "this checkout is a copy of {maker}: it begins with a local installation of its own"
            ));
            let aside = self.path(format!(".local.copied.{}", std::process::id()));
            fs::rename(&local, &aside).context(format!("moving {} away", local.display()))?;
            fs::remove_dir_all(&aside).context(format!("removing {}", aside.display()))?;
        }
        for folder in [self.run_folder(), local.join("lock"), self.logs()] {
            fs::create_dir_all(&folder).context(format!("making {}", folder.display()))?;
        }
        let root = self.root.display().to_string();
        if maker.as_ref() != Some(&root) || !mark.exists() {
            fs::write(&mark, format!("{root}\n")).context(format!("writing {}", mark.display()))?;
        }
        Ok(())
    }

    /// True if a mark names a checkout that lives and is another than this one. One that was moved
    /// here is not there any more.
    pub fn is_anothers(&self, maker: &Path) -> bool {
        let place =
            |folder: &Path| fs::metadata(folder.join(".local")).ok().map(|found| (found.dev(), found.ino()));
        maker != self.root && place(maker).is_some_and(|theirs| Some(theirs) != place(&self.root))
    }
}

/// The server's own user must be able to read its installation; a file with a secret gets narrower
/// rights where it is made. The programs that are started here hold passwords and bodies in their
/// memory: no core file, and a dump that a program takes is without memory.
fn guard_the_process() -> Outcome {
    umask(Mode::from_raw_mode(0o022));
    let limit = getrlimit(Resource::Core);
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: limit.maximum })
        .context("switching core files off")?;
    // The kernel may be built without it.
    let _ = fs::write("/proc/self/coredump_filter", "0");
    Ok(())
}
