//! Where things lie: the checkout, what cargo built, and the place for a test run's own files.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::account;
use crate::failure::{Context, Failure, Outcome};

/// The file beside the binaries that says where the test runs' own files are.
const PLACE: &str = "testkit.place";

/// The root of the checkout.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_path_buf()
}

/// The folder of the binaries that cargo built beside this test: `TPRO_BIN_DIR`, else `target/debug`.
pub fn binaries() -> Outcome<PathBuf> {
    if let Some(chosen) = env::var_os("TPRO_BIN_DIR") {
        return Ok(chosen.into());
    }
    let test = env::current_exe().context("finding the test's own binary")?;
    // The test lies in target/debug/deps (an example in target/debug/examples), a program in target/debug.
    let folder = test.parent().context("the test's own binary has no folder")?;
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("deps" | "examples") => {
            folder.parent().context("the folder of the test's binary has no parent")?
        }
        _ => folder,
    };
    Ok(profile.to_path_buf())
}

/// The binary `name`, which must have been built; `package` is named in the advice when it was not.
pub fn binary(name: &str, package: &str) -> Outcome<PathBuf> {
    present(binaries()?.join(name), &format!("cargo build -p {package}"))
}

/// The example `name` of crate tpro-sidecar.
pub fn example(name: &str) -> Outcome<PathBuf> {
    present(binaries()?.join("examples").join(name), &format!("cargo build -p tpro-sidecar --example {name}"))
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

/// The folder for this target directory's test runs. It is under /var/tmp, since user `postgres` can enter neither /root
/// nor, as a rule, a checkout; and it is apart for each user and each target directory.
pub fn run_root() -> Outcome<PathBuf> {
    let me = account::my_uid()?;
    let mut hasher = DefaultHasher::new();
    binaries()?.hash(&mut hasher);
    let root = PathBuf::from(format!("/var/tmp/tpro-test-{me}-{:08x}", hasher.finish() as u32));
    match fs::create_dir(&root) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).context(format!("making {}", root.display())),
    }
    // /var/tmp is everybody's: a folder that another user made here is not to be trusted.
    let found = fs::symlink_metadata(&root)?;
    if !found.is_dir() || found.uid() != me {
        return Err(Failure::new(format!("{} belongs to somebody else; remove it", root.display())));
    }
    // For `make clean`. Where the binaries are not ours to write beside, nobody cleans.
    let _ = fs::write(binaries()?.join(PLACE), format!("{}\n", root.display()));
    Ok(root)
}
