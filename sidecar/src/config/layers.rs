//! Where settings come from: the environment, which wins, over one file of `KEY=value` lines.

use std::{collections::BTreeMap, fmt, fs, io, path::PathBuf, sync::Arc};

use super::problem::Problem;

/// Where a value was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// A variable of the process.
    Environment,
    /// A line of the file.
    Line(Arc<str>, usize),
    /// The file as a whole.
    File(Arc<str>),
    /// Nobody set it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("environment"),
            Self::Line(file, line) => write!(f, "{file}:{line}"),
            Self::File(file) => f.write_str(file),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value and where it was found.
pub(super) struct Found<'a> {
    pub(super) value: &'a str,
    pub(super) origin: Origin,
}

/// Both layers. Holds secrets: `Debug` shows names only.
#[derive(Default)]
pub(super) struct Layers {
    environment: BTreeMap<String, String>,
    file: BTreeMap<String, (String, Origin)>,
    /// What is wrong with the file itself.
    pub(super) problems: Vec<Problem>,
    /// What is odd with it.
    pub(super) warnings: Vec<String>,
}

impl Layers {
    /// Reads the process's environment and the file of this service: `ENV_FILE` if set, else
    /// `services/<service>/.env`, else `.env`.
    pub(super) fn read(service: &str) -> Self {
        // Values that are no text cannot be settings of ours, which are all ASCII.
        let environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let asked = environment.get("ENV_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
        let mut layers = Self { environment, ..Self::default() };
        let usual = || {
            let candidates = [PathBuf::from("services").join(service).join(".env"), PathBuf::from(".env")];
            candidates.into_iter().find(|path| path.exists())
        };
        let required = asked.is_some();
        if let Some(path) = asked.or_else(usual) {
            let name: Arc<str> = path.display().to_string().into();
            match fs::read_to_string(&path) {
                Ok(text) => {
                    layers.warn_if_open_to_others(&path, &name);
                    layers.take_file(&name, &text);
                }
                Err(error) => layers.unreadable(&name, required, &error),
            }
        }
        layers
    }

    fn unreadable(&mut self, name: &Arc<str>, required: bool, error: &io::Error) {
        let rule = match error.kind() {
            io::ErrorKind::NotFound => "the file is not there; correct ENV_FILE or unset it".to_owned(),
            io::ErrorKind::InvalidData => "the file is not UTF-8 text".to_owned(),
            _ => format!("the file cannot be read: {error}"),
        };
        let key = if required { "ENV_FILE" } else { ".env" };
        self.problems.push(Problem::bad(key, Origin::File(name.clone()), None, rule));
    }

    fn warn_if_open_to_others(&mut self, path: &std::path::Path, name: &Arc<str>) {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
        if mode & 0o007 != 0 {
            self.warnings.push(format!(
                "{name} is open to every user of this machine; it holds secrets: chmod 600 {name}"
            ));
        }
    }

    /// Takes the lines of a file. The environment of the process is not changed.
    fn take_file(&mut self, name: &Arc<str>, text: &str) {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for item in dotenvy::from_read_iter(text.as_bytes()) {
            match item {
                Ok((key, value)) => {
                    let line = line_of(text, &key);
                    let origin = line.map_or(Origin::File(name.clone()), |n| Origin::Line(name.clone(), n));
                    // As a shell that sources the file would: the last one wins.
                    if self.file.insert(key.clone(), (value, origin.clone())).is_some() {
                        self.warnings.push(format!(
                            "{key} is set more than once in {name}; the last one ({origin}) wins"
                        ));
                    }
                }
                Err(dotenvy::Error::LineParse(line, _)) => {
                    // The line itself is not shown: it may hold half a password.
                    let first = line.lines().next().unwrap_or_default();
                    let number = line_that_breaks(text, first.trim());
                    let origin = number.map_or(Origin::File(name.clone()), |n| Origin::Line(name.clone(), n));
                    let rule = "a line is KEY=value; quote a value that holds spaces, quotes, # or $";
                    self.problems.push(Problem::bad(".env", origin, None, rule));
                }
                Err(_) => {
                    let rule = "the file cannot be read to its end";
                    self.problems.push(Problem::bad(".env", Origin::File(name.clone()), None, rule));
                    return;
                }
            }
        }
    }

    /// The value of a key, if it is set and not empty.
    pub(super) fn find(&self, key: &str) -> Option<Found<'_>> {
        let set = |value: &&String| !value.trim().is_empty();
        if let Some(value) = self.environment.get(key).filter(set) {
            return Some(Found { value: value.trim(), origin: Origin::Environment });
        }
        let (value, origin) = self.file.get(key).filter(|(value, _)| set(&value))?;
        Some(Found { value: value.trim(), origin: origin.clone() })
    }

    /// All keys of the file, and all of the environment, with their origins.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&str, Origin)> {
        let file = self.file.iter().map(|(key, (_, origin))| (key.as_str(), origin.clone()));
        file.chain(self.environment.keys().map(|key| (key.as_str(), Origin::Environment)))
    }

    /// Layers from given values: what tests use instead of the process's environment.
    #[cfg(test)]
    pub(super) fn of(environment: &[(&str, &str)], file: Option<&str>) -> Self {
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut layers = Self { environment, ..Self::default() };
        if let Some(text) = file {
            layers.take_file(&"services/main/.env".into(), text);
        }
        layers
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.file.keys()).finish()
    }
}

/// The number of the line with this text, or this value, that is no setting; dotenvy tells the one or the other.
fn line_that_breaks(text: &str, part: &str) -> Option<usize> {
    let breaks = |line: &str| dotenvy::from_read_iter(line.as_bytes()).any(|item| item.is_err());
    text.lines().position(|line| line.trim().ends_with(part) && breaks(line)).map(|n| n + 1)
}

/// The number of the last line that sets this key; dotenvy does not tell.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let sets = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    text.lines().enumerate().filter(|(_, line)| sets(line)).last().map(|(n, _)| n + 1)
}
