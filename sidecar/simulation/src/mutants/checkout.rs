//! A copy of the checkout in which mutants are planted. The checkout itself is left alone.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// The sources that are changed.
const CORE: &str = "sidecar/dispatcher/src/core";
/// The file that gets the switch.
const SWITCH: &str = "sidecar/runtime/src/plant.rs";
/// The switch: one program has all mutants, and its environment says which of them lives.
const IS_MUTANT: &str = "
/// True if this mutant lives: `TPRO_MUTANT` has its number.
#[inline]
pub fn is_mutant(number: usize) -> bool {
    static ALIVE: std::sync::LazyLock<usize> = std::sync::LazyLock::new(|| {
        std::env::var(\"TPRO_MUTANT\").ok().and_then(|text| text.parse().ok()).unwrap_or(usize::MAX)
    });
    *ALIVE == number
}
";

/// The copy.
pub struct Checkout {
    root: PathBuf,
}

impl Checkout {
    /// Copies what is in git, as it is now, into this folder.
    pub fn copy(to: &Path) -> io::Result<Self> {
        let listed = Command::new("git").args(["ls-files", "-z"]).output()?;
        for name in String::from_utf8_lossy(&listed.stdout).split('\0').filter(|name| !name.is_empty()) {
            let target = to.join(name);
            if let Some(folder) = target.parent() {
                fs::create_dir_all(folder)?;
            }
            let text = fs::read(name)?;
            // A file that is the same keeps its time, so that it is not compiled again.
            if fs::read(&target).ok().as_deref() != Some(&text) {
                fs::write(&target, text)?;
            }
        }
        let copy = Self { root: to.to_owned() };
        let switch = copy.read(SWITCH)?;
        copy.write(SWITCH, &switch.replacen("\n/// True if", &format!("{IS_MUTANT}\n/// True if"), 1))?;
        Ok(copy)
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The sources of the core, without files that have only tests.
    pub fn core(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        let mut folders = vec![CORE.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(self.root.join(&folder))? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = format!("{folder}/{name}");
                match entry.file_type()?.is_dir() {
                    true if name != "tests" => folders.push(path),
                    false if name.ends_with(".rs") && name != "tests.rs" => found.push(path),
                    _ => {}
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// A file of it.
    pub fn read(&self, name: &str) -> io::Result<String> {
        fs::read_to_string(self.root.join(name))
    }

    /// Writes a file of it.
    pub fn write(&self, name: &str, text: &str) -> io::Result<()> {
        fs::write(self.root.join(name), text)
    }
}
