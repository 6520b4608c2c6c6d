//! The length of a source: its lines before its tests.

use std::{fs, io, path::Path};

use crate::{checkout, crates, modules};

/// A source has so many lines at most.
pub const LIMIT: usize = 350;

/// The lengths of all sources, each with its place, the longest first.
pub fn all() -> io::Result<Vec<(usize, String)>> {
    let mut found = Vec::new();
    for it in crates::all()? {
        measure(&it.sources(), &mut found)?;
    }
    found.sort_by(|one, other| other.cmp(one));
    Ok(found)
}

/// The lines of a source before its tests.
pub fn of(source: &str) -> usize {
    modules::without_tests(source).lines().count()
}

fn measure(folder: &Path, found: &mut Vec<(usize, String)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        if path.is_dir() && !is_test {
            measure(&path, found)?;
        } else if path.extension().is_some_and(|it| it == "rs") && !is_test {
            let within = path.strip_prefix(checkout()).unwrap_or(&path);
            found.push((of(&fs::read_to_string(&path)?), within.display().to_string()));
        }
    }
    Ok(())
}
