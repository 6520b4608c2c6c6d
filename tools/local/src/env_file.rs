//! The settings of a service: the file services/NAME/.env, and the owner of each value in it.
//!
//! Some lines of a .env are make's (the local database's address, say) and follow the local
//! installation. A key that the user sets means that the local one is not wanted. A line of make's
//! stands under a mark with its digest: changed, it is the user's.

use std::fs;
use std::path::{Path, PathBuf};

use crate::digest;
use crate::failure::{Context as _, Outcome};
use crate::secret;

/// The beginning of a mark.
const MARK: &str = "#:make ";

/// A `.env`, which may not be there.
#[derive(Clone, Debug)]
pub struct EnvFile {
    path: PathBuf,
}

impl EnvFile {
    /// The file in this place.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Its place.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A value, of several lines the last one. None if it is not set, or empty.
    pub fn get(&self, key: &str) -> Option<String> {
        value(&self.text(), key)
    }

    /// True if the line of this key is as make wrote it.
    pub fn is_ours(&self, key: &str) -> bool {
        is_ours(&self.text(), key)
    }

    /// Its text without make's lines for these keys.
    pub fn without_ours(&self, keys: &[&str]) -> String {
        let ours = |text: String, key: &&str| if is_ours(&text, key) { without(&text, key) } else { text };
        keys.iter().fold(self.text(), ours)
    }

    /// Writes make's line for a key. The user's is left alone.
    pub fn put(&self, key: &str, value: &str) -> Outcome {
        let text = self.read()?;
        put(&text, key, value).map_or(Ok(()), |text| secret::replace(&self.path, &text))
    }

    /// Takes make's line for a key out.
    pub fn drop(&self, key: &str) -> Outcome {
        let text = self.read()?;
        if is_ours(&text, key) { secret::replace(&self.path, &without(&text, key)) } else { Ok(()) }
    }

    /// Its text, to look something up. A file that cannot be read sets nothing.
    fn text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.path).unwrap_or_default()).into_owned()
    }

    /// Its text, to be written again.
    fn read(&self) -> Outcome<String> {
        fs::read_to_string(&self.path).context(format!("reading {}", self.path.display()))
    }
}

fn value(text: &str, key: &str) -> Option<String> {
    tpro_dotenv::get(text, key).filter(|value| !value.is_empty())
}

fn mark(key: &str, value: &str) -> String {
    format!("{MARK}{}", digest::short(&format!("{key}={value}")))
}

fn is_ours(text: &str, key: &str) -> bool {
    let mark = mark(key, &value(text, key).unwrap_or_default());
    text.lines().any(|line| line == mark)
}

/// The text with make's line for a key; none if it stays as it is.
fn put(text: &str, key: &str, new: &str) -> Option<String> {
    let old = value(text, key);
    let text = match &old {
        Some(old) if old == new => return None,
        Some(_) if !is_ours(text, key) => return None,
        Some(_) => without(text, key),
        None if new.is_empty() => return None,
        None => text.to_owned(),
    };
    let ours = [mark(key, new), format!("{key}={}", tpro_dotenv::quoted(new))];
    // In its place under its comment, where the file has one; else at the end.
    let place = |line: &str| {
        line.strip_prefix("# ")
            .and_then(|line| line.strip_prefix(key))
            .is_some_and(|rest| rest.starts_with([':', ',']))
    };
    let mut lines: Vec<&str> = Vec::new();
    let mut found = false;
    for line in without_lone_marks(&text) {
        lines.push(line);
        if !found && place(line) {
            found = true;
            lines.extend(ours.iter().map(String::as_str));
        }
    }
    if !found {
        lines.extend(ours.iter().map(String::as_str));
    }
    Some(lines.iter().map(|line| format!("{line}\n")).collect())
}

/// The lines, without the marks whose lines the user took out.
fn without_lone_marks(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.split_terminator('\n').collect();
    let is_set = |line: &&str| {
        let key = line.split('=').next().unwrap_or_default();
        line.contains('=') && !key.is_empty() && key.bytes().all(|c| c.is_ascii_uppercase() || c == b'_')
    };
    let stays = |at: usize| !lines[at].starts_with(MARK) || lines.get(at + 1).is_some_and(is_set);
    (0..lines.len()).filter(|at| stays(*at)).map(|at| lines[at]).collect()
}

/// The text without make's line for a key, and without its mark.
fn without(text: &str, key: &str) -> String {
    let mark = mark(key, &value(text, key).unwrap_or_default());
    let mut kept = String::new();
    let mut under_mark = false;
    for line in text.split_terminator('\n') {
        let is_its_line = under_mark && line.strip_prefix(key).is_some_and(|rest| rest.starts_with('='));
        under_mark = line == mark;
        if !under_mark && !is_its_line {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# NATS_URL: the server\n\n# NAME, the other\nMINE=1\n";

    #[test]
    fn a_line_of_make_stands_under_its_comment_and_its_mark() {
        let text = put(FILE, "NATS_URL", "nats://127.0.0.1:4222").expect("a change");
        let mark = mark("NATS_URL", "nats://127.0.0.1:4222");
        assert_eq!(
            text,
            format!(
                "# NATS_URL: the server\n{mark}\nNATS_URL=nats://127.0.0.1:4222\n\n# NAME, the other\nMINE=1\n"
            )
        );
        assert!(is_ours(&text, "NATS_URL") && !is_ours(&text, "MINE"));
        assert_eq!(put(&text, "NATS_URL", "nats://127.0.0.1:4222"), None);
        // It follows the installation, and goes without a trace.
        let moved = put(&text, "NATS_URL", "nats://127.0.0.1:4223").expect("a change");
        assert_eq!(value(&moved, "NATS_URL").as_deref(), Some("nats://127.0.0.1:4223"));
        assert_eq!(moved.lines().count(), text.lines().count());
        assert_eq!(without(&moved, "NATS_URL"), FILE);
    }

    #[test]
    fn the_lines_of_the_user_stay() {
        assert_eq!(put(FILE, "MINE", "2"), None);
        let ours = put(FILE, "OTHER", "a b").expect("a change");
        assert!(ours.ends_with("\nOTHER='a b'\n"), "{ours}");
        // A line of make's that the user has changed is the user's.
        let changed = ours.replace("'a b'", "'a c'");
        assert!(!is_ours(&changed, "OTHER"));
        assert_eq!(put(&changed, "OTHER", "d"), None);
        // One that the user has taken out leaves its mark, which goes at the next change.
        let out = ours.replace("OTHER='a b'\n", "");
        let again = put(&out, "LAST", "1").expect("a change");
        assert_eq!(again.matches(MARK).count(), 1, "{again}");
    }

    #[test]
    fn a_file_that_is_written_is_its_owners_alone() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let path = std::env::temp_dir().join(format!("tpro-local-env-{}", std::process::id()));
        fs::write(&path, FILE).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let file = EnvFile::at(&path);
        file.put("SERVICE_PORT", "8084").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(file.get("SERVICE_PORT").as_deref(), Some("8084"));
        file.drop("SERVICE_PORT").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), FILE);
        fs::remove_file(&path).unwrap();
    }
}
