//! The place of the private PostgreSQL, and the user that it runs as.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::geteuid;

use crate::checkout::{Checkout, first_line};
use crate::digest;
use crate::failure::{Context as _, Failure, Outcome};
use crate::libpq;

/// PostgreSQL does not run as root; under root it runs as this user.
const USER: &str = "postgres";

/// The folders of the private PostgreSQL.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder of all of it.
    pub base: PathBuf,
    /// The cluster.
    pub data: PathBuf,
    /// The private installation. It has the distribution's paths under it: PostgreSQL finds its
    /// folders relative to its program.
    pub tree: PathBuf,
    /// The server's log.
    pub log: PathBuf,
}

impl Place {
    /// The place in `.local`; but where root has a checkout that the server's user cannot enter
    /// (under /root, say), a folder of /var/lib that is named after the checkout.
    pub fn of(checkout: &Checkout) -> Outcome<Self> {
        let noted = first_line(&checkout.path(".local/postgres.place")).map(PathBuf::from);
        // A note of a place is believed where the place confirms it.
        let confirmed = noted.filter(|base| {
            let maker = first_line(&base.join("checkout")).unwrap_or_default();
            !checkout.is_anothers(Path::new(&maker))
        });
        let usual = checkout.path(".local/postgres");
        Ok(match confirmed {
            Some(base) => Self::at(base),
            None if !geteuid().is_root() || may_be_entered(checkout, &usual)? => Self::at(usual),
            None => {
                let root = checkout.root.display().to_string();
                Self::at(PathBuf::from(format!("/var/lib/tpro-{}", digest::short(&root))))
            }
        })
    }

    fn at(base: PathBuf) -> Self {
        let (data, tree, log) = (base.join("data"), base.join("installation"), base.join("postgres.log"));
        Self { base, data, tree, log }
    }

    /// Makes the place, and notes it.
    pub fn make(&self, checkout: &Checkout) -> Outcome {
        let base = self.base.display();
        fs::create_dir_all(&self.base).context(format!("making {base}"))?;
        // /var/lib is root's, .local is ours: nobody else's folder there is to be trusted.
        let found = fs::symlink_metadata(&self.base).context(format!("looking at {base}"))?;
        if found.uid() != geteuid().as_raw() {
            return Err(Failure::new(format!("{base} belongs to somebody else"))
                .remedy("make clean by its owner removes it"));
        }
        let note = |path: PathBuf, folder: &Path| {
            fs::write(&path, format!("{}\n", folder.display())).context(format!("writing {}", path.display()))
        };
        note(self.base.join("checkout"), &checkout.root)?;
        note(checkout.path(".local/postgres.place"), &self.base)
    }

    /// A program of the private installation.
    pub fn program(&self, name: &str) -> Outcome<PathBuf> {
        let note = self.base.join("bindir");
        let folder = first_line(&note).context(format!("{} is not there: run make up-db", note.display()))?;
        Ok(self.within_tree(Path::new(&folder)).join(name))
    }

    /// A folder of the distribution, as it lies in the private installation.
    pub fn within_tree(&self, folder: &Path) -> PathBuf {
        self.tree.join(folder.strip_prefix("/").unwrap_or(folder))
    }

    /// A command that will run as the user of the server, from a folder that it may enter.
    pub fn as_postgres(&self, checkout: &Checkout, program: impl AsRef<Path>) -> Command {
        let mut command = as_postgres(checkout, program.as_ref());
        if geteuid().is_root() {
            command.env("HOME", &self.base);
        }
        command
    }

    /// Gives a file or folder to the user of the server.
    pub fn give(&self, checkout: &Checkout, path: &Path) -> Outcome {
        if !geteuid().is_root() {
            return Ok(());
        }
        let mut chown = checkout.command("chown");
        must_succeed(chown.arg(format!("{USER}:")).arg(path), &format!("giving {} to {USER}", path.display()))
    }

    /// Writes a file as the user of the server.
    pub fn write(&self, checkout: &Checkout, path: &Path, text: &str, append: bool) -> Outcome {
        let mut tee = self.as_postgres(checkout, "tee");
        tee.args(append.then_some("-a")).arg(path);
        fed(&mut tee, text, &format!("writing {}", path.display()))
    }
}

/// Runs a command with this text as its input. Its own output is not told.
pub fn fed(command: &mut Command, input: &str, doing: &str) -> Outcome {
    fed_into(command, input, Stdio::null(), doing)
}

/// Runs a command with this text as its input, and its output there.
pub fn fed_into(command: &mut Command, input: &str, output: Stdio, doing: &str) -> Outcome {
    let mut child = command.stdin(Stdio::piped()).stdout(output).spawn().context(doing)?;
    let written = child.stdin.take().map_or(Ok(()), |mut pipe| pipe.write_all(input.as_bytes()));
    let status = child.wait().context(doing)?;
    written.context(doing)?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("{doing} failed: {status}"))) }
}

fn must_succeed(command: &mut Command, doing: &str) -> Outcome {
    match command.status().context(doing)?.success() {
        true => Ok(()),
        false => Err(Failure::new(format!("{doing} failed"))),
    }
}

fn as_postgres(checkout: &Checkout, program: &Path) -> Command {
    let mut command = if geteuid().is_root() {
        let mut command = checkout.command("setpriv");
        command.arg(format!("--reuid={USER}")).arg(format!("--regid={USER}"));
        command.args(["--init-groups", "--"]).arg(program).current_dir("/");
        command
    } else {
        checkout.command(program)
    };
    libpq::without(checkout, &mut command);
    command
}

/// True if the server's user can go into a folder of root's.
fn may_be_entered(checkout: &Checkout, folder: &Path) -> Outcome<bool> {
    let known =
        checkout.command("id").args(["-u", USER]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !known.context("running id")?.success() {
        return Err(Failure::new(format!("PostgreSQL does not run as root and there is no user {USER}"))
            .remedy("install a PostgreSQL package, which makes it"));
    }
    fs::create_dir_all(folder).context(format!("making {}", folder.display()))?;
    let entered = as_postgres(checkout, Path::new("test")).arg("-x").arg(folder).status();
    Ok(entered.context("running setpriv")?.success())
}
