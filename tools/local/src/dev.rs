//! `make dev-NAME`: a service is built and rolled each time that one of its sources is saved.
//!
//! The files are looked at twice a second. A look costs little, and works on each file system.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use crate::checkout::Checkout;
use crate::copies::Copies as _;
use crate::failure::Outcome;
use crate::processes::Processes;
use crate::{service, services};

/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Files by their path, each with its time and its length.
type Files = BTreeMap<PathBuf, (SystemTime, u64)>;

/// Builds and rolls a service at each change, until Ctrl-C ends it. The copies run on then.
pub fn run(checkout: &mut Checkout, name: &str) -> Outcome {
    services::must_be(checkout, name)?;
    checkout.settings.copy_number()?;
    // A version that is named is built again and again.
    checkout.settings.set("REBUILD", "yes");
    // Seen before it is built: what is saved meanwhile is built after it.
    let mut seen = sources(checkout, name);
    tell(checkout, name, service::up(checkout, name));
    checkout.screen.note(format!(
        "      {} and services/contracts are watched (Ctrl-C ends; {name} runs on)",
        services::folder(checkout, name).display()
    ));
    loop {
        seen = next(|| sources(checkout, name), &seen);
        tell(checkout, name, service::roll(checkout, name));
    }
}

/// Tells how it went. A build that fails is no end: the next save may mend it.
fn tell(checkout: &Checkout, name: &str, went: Outcome) {
    let Err(failure) = went else { return };
    checkout.screen.error(failure.to_string());
    let runs = Processes::of(checkout, name).running().is_ok_and(|running| !running.is_empty());
    checkout.screen.note(match runs {
        true => format!("      {name}  goes on as it was; save a file to try again"),
        false => format!("      {name}  does not run; save a file to try again"),
    });
}

/// Waits until the files have changed, and are as they are for as long as a look takes: an editor
/// may write several. Returns how they are then.
fn next(look: impl Fn() -> Files, seen: &Files) -> Files {
    let mut last = look();
    loop {
        sleep(LOOK);
        let now = look();
        if now != *seen && now == last {
            return now;
        }
        last = now;
    }
}

/// The sources of a service: its own, and the types that it shares with others.
fn sources(checkout: &Checkout, name: &str) -> Files {
    let mut files = Files::new();
    for folder in [name, "contracts"] {
        look_into(&checkout.path(services::folder(checkout, folder)), &mut files);
    }
    files
}

/// Adds the files of a folder, at any depth. A file that goes away meanwhile is as good as gone.
fn look_into(folder: &Path, files: &mut Files) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(about) = fs::metadata(&path) else { continue };
        if !is_source(&entry.file_name().to_string_lossy()) {
            continue;
        }
        if about.is_dir() {
            look_into(&path, files);
        } else if let Ok(time) = about.modified() {
            files.insert(path, (time, about.len()));
        }
    }
}

/// True if a file or a folder of this name may be a source. Editors keep files of their own beside
/// it, most of them hidden.
fn is_source(name: &str) -> bool {
    name == ".env" || !(name.starts_with('.') || name.ends_with('~') || name == "target" || name == "4913")
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn what_an_editor_keeps_for_itself_is_no_source() {
        for source in ["main.rs", "Cargo.toml", ".env", "schema.sql", "targets"] {
            assert!(is_source(source), "{source}");
        }
        for other in [".main.rs.swp", "main.rs~", "4913", ".git", "target", ".#main.rs"] {
            assert!(!is_source(other), "{other}");
        }
    }

    #[test]
    fn a_change_counts_when_nothing_more_is_written() {
        let files = |length| Files::from([(PathBuf::from("main.rs"), (SystemTime::UNIX_EPOCH, length))]);
        let looks = RefCell::new(vec![files(3), files(3), files(2), files(1)]);
        let changed = next(|| looks.borrow_mut().pop().expect("no further look"), &files(1));
        assert_eq!((changed, looks.borrow().len()), (files(3), 0));
    }
}
