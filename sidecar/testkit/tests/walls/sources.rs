//! The modules of a crate, as they lie in its folder.

use std::{fs, path::Path};

use tpro_testkit::{Context, Outcome};

/// A source file.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    /// The path of its module, without the crate; empty for the root.
    pub(crate) path: Vec<String>,
    /// Its code, without comments, strings and tests.
    pub(crate) code: String,
}

impl Module {
    pub(crate) fn new(path: &str, source: &str) -> Self {
        let path = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Self { path, code: code(source) }
    }
}

/// All modules under this folder, but those of tests.
pub(crate) fn read(src: &Path) -> Outcome<Vec<Module>> {
    let mut modules = Vec::new();
    read_folder(src, "", &mut modules)?;
    Ok(modules)
}

fn read_folder(folder: &Path, path: &str, modules: &mut Vec<Module>) -> Outcome {
    for entry in fs::read_dir(folder)? {
        let file = entry?.path();
        let stem = file.file_stem().context("a file has a name")?.to_string_lossy().into_owned();
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

/// The code of a source: no comments, no strings, and nothing from its tests on.
fn code(source: &str) -> String {
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let raw = rest.strip_prefix('r').map(|rest| rest.len() - rest.trim_start_matches('#').len());
        let after_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw.filter(|hashes| !after_word && rest[1 + hashes..].starts_with('"')) {
            let end = format!("\"{}", "#".repeat(hashes));
            rest[hashes + 2..].find(&end).map_or(rest.len(), |at| hashes + 2 + at + end.len())
        } else if first == '"' {
            string_length(rest)
        } else if let Some(character) = ["'\"'", "'\\''", "'\\\"'"].iter().find(|it| rest.starts_with(**it)) {
            character.len()
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        rest = &rest[skipped..];
        code.push(' ');
    }
    code
}

/// The length of the string that stands at the beginning.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            '"' if !escaped => return at + 1,
            '\\' if !escaped => escaped = true,
            _ => escaped = false,
        }
    }
    text.len()
}
