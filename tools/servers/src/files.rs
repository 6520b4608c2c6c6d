//! Files and folders that may or may not be there.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::failure::{Context as _, Outcome};

/// The first line of a file, if there is one with text.
pub fn first_line(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().next().filter(|line| !line.is_empty()).map(str::to_owned)
}

/// Removes a folder that may not be there.
pub fn remove(folder: &Path) -> Outcome {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).context(format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// True if both files are there and hold the same.
pub fn same(one: &Path, other: &Path) -> bool {
    let length = |path: &Path| fs::metadata(path).ok().map(|found| found.len());
    let content = |path: &Path| fs::read(path).ok();
    length(one).is_some() && length(one) == length(other) && content(one) == content(other)
}
