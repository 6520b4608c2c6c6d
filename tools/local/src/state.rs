//! The memory of the processes of this checkout, in .local/run: one NAME.pid and one NAME.state
//! (lines of key=value) a process.

use std::fs;
use std::path::{Path, PathBuf};

use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome};

/// The file with what is remembered of a process.
pub fn file(checkout: &Checkout, name: &str) -> PathBuf {
    checkout.run_folder().join(format!("{name}.state"))
}

/// True if the process has run in this checkout.
pub fn is_known(checkout: &Checkout, name: &str) -> bool {
    file(checkout, name).is_file()
}

/// A value that is remembered.
pub fn get(checkout: &Checkout, name: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file(checkout, name)).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    (!value.is_empty()).then(|| value.to_owned())
}

/// A port that is remembered.
pub fn port(checkout: &Checkout, name: &str, key: &str) -> Option<u16> {
    get(checkout, name, key)?.parse().ok().filter(|port| *port > 0)
}

/// Remembers these values in place of those of before.
pub fn put(checkout: &Checkout, name: &str, values: &[(&str, &str)]) -> Outcome {
    let lines: String = values.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
    replace(&file(checkout, name), &lines)
}

/// Forgets the process.
pub fn forget(checkout: &Checkout, name: &str) {
    for ending in ["pid", "state", "err"] {
        // It may not be there.
        let _ = fs::remove_file(checkout.run_folder().join(format!("{name}.{ending}")));
    }
}

/// Replaces a file in one step, so that nobody reads half of it.
pub fn replace(path: &Path, text: &str) -> Outcome {
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}", std::process::id()));
    fs::write(&new, text).context(format!("writing {}", path.display()))?;
    fs::rename(&new, path).context(format!("replacing {}", path.display()))
}
