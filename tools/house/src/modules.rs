//! The modules of a crate, as they lie in its folder.

use std::{fs, io, path::Path};

use crate::source::Source;

/// A source file.
#[derive(Clone, Debug)]
pub struct Module {
    /// The path of its module, without the crate; empty for the root.
    pub(crate) path: Vec<String>,
    /// Its code, without comments, strings and tests.
    pub(crate) code: String,
}

impl Module {
    /// The module of this path, such as `a/b`.
    pub fn new(path: &str, source: &str) -> Self {
        let path = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Self { path, code: Source::read(without_tests(source)).code }
    }
}

/// All modules under this folder, but those of tests.
pub fn read(src: &Path) -> io::Result<Vec<Module>> {
    let mut modules = Vec::new();
    read_folder(src, "", &mut modules)?;
    Ok(modules)
}

fn read_folder(folder: &Path, path: &str, modules: &mut Vec<Module>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let file = entry?.path();
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        // A program beside the library is a crate of its own.
        if stem == "tests" || (path.is_empty() && stem == "bin") {
            continue;
        }
        let inner = if path.is_empty() { stem.clone() } else { format!("{path}/{stem}") };
        if file.is_dir() {
            read_folder(&file, &inner, modules)?;
        } else if file.extension().is_some_and(|extension| extension == "rs") {
            let is_root = path.is_empty() && ["lib", "main"].contains(&stem.as_str());
            let of_folder = if is_root || stem == "mod" { path } else { &inner };
            modules.push(Module::new(of_folder, &fs::read_to_string(&file)?));
        }
    }
    Ok(())
}

/// The source without the tests at its end. Tests in a file of their own are named before the rest.
pub fn without_tests(source: &str) -> &str {
    source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default()
}
