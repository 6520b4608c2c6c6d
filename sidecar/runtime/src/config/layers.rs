//! The sources of settings: the environment, which wins, and one file of `KEY=value` lines.

use std::{collections::BTreeMap, fmt, fs, io, path::PathBuf, sync::Arc};

use tpro_dotenv::Line;

use super::{key, origin::Origin, problem::Problem};

/// A value and its place.
pub(super) struct Found<'a> {
    pub(super) value: &'a str,
    pub(super) origin: Origin,
}

/// Both layers. Holds secrets: `Debug` shows names only.
#[derive(Default)]
pub(super) struct Layers {
    environment: BTreeMap<String, String>,
    file: BTreeMap<String, (String, Origin)>,
    /// Errors of the file itself.
    pub(super) problems: Vec<Problem>,
    /// Oddities of the file.
    pub(super) warnings: Vec<String>,
}

impl Layers {
    /// Reads the process's environment and the file of this service: `ENV_FILE` if set, else
    /// `services/<service>/.env`, else `.env`. The program of any service reads the file of a
    /// service without a crate, `services/sql/<service>/.env`.
    pub(super) fn read(service_in_code: &str) -> Self {
        // A value that is no text cannot be a setting of ours: these are all ASCII.
        let variables = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
        let mut layers = Self::default();
        layers.take_environment(variables);
        let asked = layers.environment.get("ENV_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
        let services = PathBuf::from("services");
        let folder = match layers.environment.get("SERVICE_NAME") {
            Some(service) if service_in_code == key::ANY => services.join("sql").join(service),
            _ => services.join(service_in_code),
        };
        let usual = || {
            let candidates = [folder.join(".env"), PathBuf::from(".env")];
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

    /// Takes the variables of the process. Kubernetes and Docker tell the address of a service
    /// called `nats` by `NATS_PORT=tcp://10.0.0.1:4222`. A link of this kind may have the name of a
    /// setting and is none.
    fn take_environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        const SCHEMES: [&str; 3] = ["tcp://", "udp://", "sctp://"];
        for (name, value) in variables {
            if name.ends_with("_PORT") && SCHEMES.iter().any(|scheme| value.starts_with(scheme)) {
                if key::find(&name).is_some() {
                    self.warnings.push(format!(
                        "{name} (environment) is a service link of Kubernetes or Docker and is set aside; give {name} \
                         in the file, or switch the links off (enableServiceLinks: false)"
                    ));
                }
                continue;
            }
            self.environment.insert(name, value);
        }
    }

    /// Takes the lines of a file. The environment of the process is not changed.
    fn take_file(&mut self, name: &Arc<str>, text: &str) {
        let text = tpro_dotenv::without_mark(text);
        for (n, line) in text.split('\n').enumerate() {
            let origin = Origin::Line(name.clone(), n + 1);
            match tpro_dotenv::read(line) {
                Line::Nothing => {}
                Line::Set(key, value) => {
                    // The last line wins, as in a shell that sources the file.
                    if self.file.insert(key.to_owned(), (value, origin.clone())).is_some() {
                        self.warnings.push(format!(
                            "{key} is set more than once in {name}; the last one ({origin}) wins"
                        ));
                    }
                }
                Line::Malformed => {
                    // The line itself is not shown: it may hold half a password.
                    let rule =
                        "a line is KEY=value, and a value that begins with a quote ends with the same quote";
                    self.problems.push(Problem::bad(".env", origin, None, rule));
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
        // Its blanks are those that somebody has put into quotes.
        Some(Found { value, origin: origin.clone() })
    }

    /// All keys of the file, and all of the environment, with their origins.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&str, Origin)> {
        let file = self.file.iter().map(|(key, (_, origin))| (key.as_str(), origin.clone()));
        file.chain(self.environment.keys().map(|key| (key.as_str(), Origin::Environment)))
    }

    /// Layers from given values: tests use them in place of the process's environment.
    pub(super) fn of(environment: &[(&str, &str)], file: Option<&str>) -> Self {
        let mut layers = Self::default();
        layers.take_environment(environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Things of a file that concern more than one line: the mark at its beginning, the order, the
    /// end.
    #[test]
    fn the_program_and_make_find_the_same_value_in_a_whole_file() {
        for text in [
            "\u{feff}KEY=first",
            "\u{feff}OTHER=x\n\u{feff}KEY=second\n",
            "KEY=a\nKEY=b\n",
            "KEY=a\nKEY=\n",
            "KEY=a\nKEY='b\nMORE='\n",
            "KEY=a\r\nKEY=b\r\n",
            "# KEY=a\nexport KEY=b",
            "KEYS=a\nMY_KEY=b\n",
            "KEY=\"a\nb\"\nOTHER=\"\n",
            "",
        ] {
            let mut layers = Layers::default();
            layers.take_file(&"file".into(), text);
            let by_make = tpro_dotenv::get(text, "KEY").unwrap_or_default();
            assert_eq!(layers.find("KEY").map_or("", |found| found.value), by_make, "{text:?}");
        }
    }
}
