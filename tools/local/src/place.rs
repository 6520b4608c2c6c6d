//! The place of the private PostgreSQL, and the user that it runs as.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::geteuid;
use tpro_servers::account::Account;
use tpro_servers::files::first_line;
use tpro_servers::tree::Tree;

use crate::checkout::Checkout;
use crate::digest;
use crate::failure::{Context as _, Failure, Outcome};
use crate::libpq;

/// The folders of the private PostgreSQL.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder of all of it.
    pub base: PathBuf,
    /// The cluster.
    pub data: PathBuf,
    /// The private installation.
    pub tree: Tree,
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
        let (data, log) = (base.join("data"), base.join("postgres.log"));
        Self { tree: Tree(base.join("installation")), base, data, log }
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
        Ok(self.tree.within(Path::new(&folder)).join(name))
    }

    /// A command for the user of the server, in a folder that the user may enter.
    pub fn command(&self, checkout: &Checkout, program: impl AsRef<Path>) -> Command {
        let mut command = checkout.command(program.as_ref());
        libpq::without(checkout, &mut command);
        if geteuid().is_root() {
            command.current_dir("/").env("HOME", &self.base);
        }
        command
    }

    /// A command that will run as the user of the server.
    pub fn as_postgres(&self, checkout: &Checkout, program: impl AsRef<Path>) -> Outcome<Command> {
        let mut command = self.command(checkout, program);
        Account::of_postgres()?.runs(&mut command);
        Ok(command)
    }

    /// Writes a file as the user of the server.
    pub fn write(&self, checkout: &Checkout, path: &Path, text: &str, append: bool) -> Outcome {
        let mut tee = self.as_postgres(checkout, "tee")?;
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

/// True if the server's user can go into a folder of root's.
fn may_be_entered(checkout: &Checkout, folder: &Path) -> Outcome<bool> {
    let account = Account::of_postgres()?;
    fs::create_dir_all(folder).context(format!("making {}", folder.display()))?;
    let mut test = checkout.command("test");
    account.runs(test.arg("-x").arg(folder).current_dir("/"));
    Ok(test.status().context("running test")?.success())
}
