//! The places of things: the checkout, the programs that cargo built, and a test run's own files.

use std::env;
use std::fs::{self, DirBuilder, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tpro_servers::account;

use crate::failure::{Context, Failure, Outcome};

/// The file beside the binaries that names the folder of the test runs' own files.
const PLACE: &str = "testkit.place";
/// The file there that names its owner: the folder of the programs, and the checkout.
const OWNER: &str = "owner";

/// The root of the checkout.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_path_buf()
}

/// The folder of the binaries that cargo built beside this test: `TPRO_BIN_DIR`, else
/// `target/debug`.
pub fn binaries() -> Outcome<PathBuf> {
    if let Some(chosen) = env::var_os("TPRO_BIN_DIR") {
        return Ok(chosen.into());
    }
    let test = env::current_exe().context("finding the test's own binary")?;
    // The test lies in target/debug/deps (an example in target/debug/examples), a program in
    // target/debug.
    let folder = test.parent().context("the test's own binary has no folder")?;
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("deps" | "examples") => {
            folder.parent().context("the folder of the test's binary has no parent")?
        }
        _ => folder,
    };
    Ok(profile.to_path_buf())
}

/// The binary `name`, which must have been built. `package` is named in the advice when it was not.
pub fn binary(name: &str, package: &str) -> Outcome<PathBuf> {
    present(binaries()?.join(name), &format!("cargo build -p {package}"))
}

/// The program of the service `rogue`, which misbehaves when a message tells it to.
///
/// It is an example of this crate, so that only a build of everything (`--all-targets`,
/// `--examples`) makes it.
pub fn rogue() -> Outcome<PathBuf> {
    present(binaries()?.join("examples/rogue"), "cargo build -p tpro-testkit --example rogue")
}

/// The extension's library: `TPRO_EXTENSION_SO`, else beside the binaries.
pub fn extension_library() -> Outcome<PathBuf> {
    match env::var_os("TPRO_EXTENSION_SO") {
        Some(chosen) => present(chosen.into(), "unset TPRO_EXTENSION_SO"),
        None => present(binaries()?.join("libpg_tpro.so"), "cargo build -p pg_tpro"),
    }
}

fn present(path: PathBuf, remedy: &str) -> Outcome<PathBuf> {
    if path.is_file() {
        return Ok(path);
    }
    Err(Failure::new(format!(
        "{} does not exist; run `{remedy}` (or `cargo build --workspace`)",
        path.display()
    )))
}

/// The folder for this target directory's test runs. It is under /var/tmp, since user `postgres`
/// can enter neither /root nor, as a rule, a checkout. Each user and each target directory has a
/// folder of its own.
pub fn run_root() -> Outcome<PathBuf> {
    let me = account::my_uid();
    let mut hasher = DefaultHasher::new();
    binaries()?.hash(&mut hasher);
    let root = PathBuf::from(format!("/var/tmp/tpro-test-{me}-{:08x}", hasher.finish() as u32));
    // User `postgres` goes through it.
    own_folder(&root, 0o755)?;
    // For `make clean`, which removes the folder only if it is of its own programs and of its own
    // checkout.
    let owner = format!("{}\n{}\n", binaries()?.display(), checkout().display());
    fs::write(root.join(OWNER), owner).context(format!("writing to {}", root.display()))?;
    // If the folder of the binaries is not ours to write to, nobody cleans.
    let _ = fs::write(binaries()?.join(PLACE), format!("{}\n", root.display()));
    Ok(root)
}

/// A folder in a place that is everybody's, such as /var/tmp. It is this user's own, and nobody
/// else writes to it. A folder that another user has made there before, a link included, is a
/// failure.
pub(crate) fn own_folder(path: &Path, mode: u32) -> Outcome {
    match DirBuilder::new().mode(mode).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).context(format!("making {}", path.display())),
    }
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() || found.uid() != account::my_uid() {
        return Err(Failure::new(format!("{} belongs to somebody else; remove it", path.display())));
    }
    if found.mode() & 0o777 != mode {
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_that_another_user_made_or_that_is_a_link_is_not_taken() {
        let root = run_root().expect("a place for the tests");
        let name = |what: &str| root.join(format!("own-folder-{}-{what}", std::process::id()));
        let (mine, theirs, link) = (name("mine"), name("theirs"), name("link"));
        own_folder(&mine, 0o700).expect("a new folder");
        fs::set_permissions(&mine, Permissions::from_mode(0o777)).expect("our own folder");
        own_folder(&mine, 0o700).expect("our own folder");
        assert_eq!(fs::symlink_metadata(&mine).expect("it is there").mode() & 0o777, 0o700);
        symlink(&mine, &link).expect("a link");
        let refused = own_folder(&link, 0o700).expect_err("a link");
        assert!(refused.to_string().contains("belongs to somebody else"), "{refused}");
        let account = account::Account::of_postgres().expect("an account");
        fs::create_dir(&theirs).expect("a folder");
        account.own(&theirs).expect("given away");
        // Only root can give a folder away.
        let given = fs::symlink_metadata(&theirs).expect("it is there").uid() != account::my_uid();
        assert_eq!(own_folder(&theirs, 0o700).is_err(), given);
        for path in [&mine, &theirs] {
            fs::remove_dir(path).expect("removed");
        }
        fs::remove_file(&link).expect("removed");
    }
}
