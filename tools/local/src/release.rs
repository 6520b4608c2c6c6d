//! The kept programs of services, .local/releases/NAME/VERSION: the next build does not write over
//! a running program, and a release that was replaced can come back without its source.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome, fail};
use crate::{cargo, chosen, process, services};

/// The number of kept versions of a service, besides those that run.
const KEPT: usize = 5;
/// The sidecar's own default.
const DEFAULT: &str = "1.0";

/// The version that a copy would say of itself.
pub fn version(checkout: &Checkout, service: &str) -> Outcome<String> {
    checked(chosen::by_user(checkout, "SERVICE_VERSION", Some(service)))
}

/// The version that the file of the service names.
pub fn version_of_file(checkout: &Checkout, service: &str) -> Outcome<String> {
    checked(services::env_file(checkout, service).get("SERVICE_VERSION"))
}

fn checked(version: Option<String>) -> Outcome<String> {
    let version = version.unwrap_or_else(|| DEFAULT.to_owned());
    if is_version(&version) {
        return Ok(version);
    }
    fail(format!(
        "SERVICE_VERSION={version}: a version is letters, digits, '.', '_', '+' and '-', at most 64"
    ))
}

/// It becomes the name of a folder.
fn is_version(text: &str) -> bool {
    let is_part = |letter: u8| letter.is_ascii_alphanumeric() || b"._+-".contains(&letter);
    let first = text.bytes().next().is_some_and(|letter| letter.is_ascii_alphanumeric());
    first && text.len() <= 64 && text.bytes().all(is_part)
}

/// The folder of the kept programs of a service.
pub fn folder(checkout: &Checkout, service: &str) -> PathBuf {
    checkout.local().join("releases").join(service)
}

/// The kept program of a version; it may not be there.
pub fn program(checkout: &Checkout, service: &str, version: &str) -> PathBuf {
    folder(checkout, service).join(version).join(format!("{service}_service"))
}

/// The program of a service as cargo has built it.
pub fn built(checkout: &Checkout, service: &str) -> PathBuf {
    cargo::profile(checkout).join(services::program(checkout, service))
}

/// The time at which a program was built.
pub fn built_at(program: &Path) -> Option<SystemTime> {
    fs::metadata(program).and_then(|found| found.modified()).ok()
}

/// Keeps the latest build of a service as this version. It is replaced in one step, so that nobody
/// starts half a file.
pub fn keep(checkout: &Checkout, service: &str, version: &str) -> Outcome {
    let built = built(checkout, service);
    let kept = program(checkout, service, version);
    let Some(time) = built_at(&built) else {
        return fail(format!("{} does not exist: leave BUILT out, and it is built", built.display()));
    };
    if built_at(&kept) == Some(time) {
        return Ok(());
    }
    let new = kept.with_extension(std::process::id().to_string());
    let keep = || {
        fs::create_dir_all(folder(checkout, service).join(version))?;
        fs::copy(&built, &new)?;
        File::options().write(true).open(&new)?.set_modified(time)?;
        fs::rename(&new, &kept)
    };
    keep().context(format!("keeping {} as {}", built.display(), kept.display()))?;
    prune(checkout, service);
    Ok(())
}

/// The oldest beyond the number that is kept go; one that a copy runs stays.
fn prune(checkout: &Checkout, service: &str) {
    let copies = services::known_copies(checkout, service).into_iter();
    let pids = copies.filter_map(|copy| process::pid_of(checkout, &format!("{service}-{copy}")));
    let running: Vec<PathBuf> = pids.filter_map(program_of).collect();
    for version in kept(checkout, service).iter().skip(KEPT) {
        if !running.contains(&program(checkout, service, version)) {
            // A folder that cannot be removed is tried again at the next release.
            let _ = fs::remove_dir_all(folder(checkout, service).join(version));
        }
    }
}

/// The program that a process runs, where it lay when it was started.
pub fn program_of(pid: u32) -> Option<PathBuf> {
    let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let text = path.to_str().and_then(|path| path.strip_suffix(DELETED)).map(PathBuf::from);
    Some(text.unwrap_or(path))
}

/// True if the program that a process runs is not there any more, or has been replaced.
pub fn is_replaced(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe"))
        .is_ok_and(|path| path.to_str().is_some_and(|path| path.ends_with(DELETED)))
}

/// The kernel's mark behind the name of a file that has gone.
const DELETED: &str = " (deleted)";

/// The kept versions of a service, newest first.
pub fn kept(checkout: &Checkout, service: &str) -> Vec<String> {
    let entries = fs::read_dir(folder(checkout, service)).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut versions: Vec<(SystemTime, String)> =
        names.filter_map(|name| Some((built_at(&program(checkout, service, &name))?, name))).collect();
    versions.sort_by(|one, other| other.cmp(one));
    versions.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;
    use std::time::Duration;

    use super::*;
    use crate::settings::Settings;

    #[test]
    fn a_version_is_a_safe_name_of_a_folder() {
        for version in ["1.0", "2.73", "v1_a+b-c", &"1".repeat(64)] {
            assert!(is_version(version), "{version}");
        }
        for text in ["", ".", "..", "../x", "a/b", "-n", "a b", "$(touch pwned)", &"1".repeat(65)] {
            assert!(!is_version(text), "{text}");
        }
    }

    #[test]
    fn the_last_builds_are_kept_newest_first_and_each_of_them_once() -> Outcome {
        let root = std::env::temp_dir().join(format!("tpro-local-release-{}", std::process::id()));
        fs::create_dir_all(root.join("target/debug")).context("a folder")?;
        let checkout = Checkout::open(root.clone(), Settings::default())?;
        let program = built(&checkout, "co");
        for build in 1..=7 {
            fs::write(&program, build.to_string()).context("a build")?;
            let file = File::options().write(true).open(&program).context("a build")?;
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(build)).context("its time")?;
            keep(&checkout, "co", &format!("{build}.0"))?;
        }
        assert_eq!(kept(&checkout, "co"), ["7.0", "6.0", "5.0", "4.0", "3.0"]);
        // The build that is kept already is not copied again.
        let kept = super::program(&checkout, "co", "7.0");
        let place = fs::metadata(&kept).context("a kept build")?.ino();
        keep(&checkout, "co", "7.0")?;
        assert_eq!(fs::metadata(&kept).context("a kept build")?.ino(), place);
        fs::remove_file(&program).context("a build")?;
        assert!(keep(&checkout, "co", "7.0").unwrap_err().to_string().contains("does not exist"));
        fs::remove_dir_all(&root).context("removing it")
    }
}
