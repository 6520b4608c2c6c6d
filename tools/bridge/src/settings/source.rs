//! The places that settings come from, and the problems with them.

use std::{collections::BTreeMap, fs};

use tpro_dotenv::Line;

use super::Key;

/// Words in the names of secrets.
const SECRET: [&str; 2] = ["TOKEN", "PASSWORD"];

/// Values by their keys, each with the place that it is from.
pub(super) struct Source {
    keys: &'static [Key],
    values: BTreeMap<String, (String, String)>,
    problems: Vec<String>,
    lines: Vec<String>,
}

impl Source {
    /// The environment of this process, over the file that it names.
    pub(super) fn of_process(keys: &'static [Key]) -> Self {
        let mut source = Self::of(keys, &[]);
        if let Some(path) = std::env::var("ENV_FILE").ok().filter(|path| !path.is_empty()) {
            source.take_file(&path);
        }
        for (name, ..) in keys {
            if let Some(value) = std::env::var(name).ok().filter(|value| !value.is_empty()) {
                source.values.insert((*name).to_owned(), (value, "environment".to_owned()));
            }
        }
        source
    }

    /// These values, as if they were the environment.
    pub(super) fn of(keys: &'static [Key], values: &[(&str, &str)]) -> Self {
        let values = values
            .iter()
            .map(|(key, value)| ((*key).to_owned(), ((*value).to_owned(), "environment".to_owned())));
        Self { keys, values: values.collect(), problems: Vec::new(), lines: Vec::new() }
    }

    fn take_file(&mut self, path: &str) {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return self.problems.push(format!("ENV_FILE={path}: {error}")),
        };
        for (at, line) in tpro_dotenv::without_mark(&text).split('\n').enumerate() {
            let place = format!("{path}:{}", at + 1);
            match tpro_dotenv::read(line) {
                Line::Nothing => {}
                Line::Malformed => self.problems.push(format!("{place}: this is no KEY=value")),
                Line::Set(key, _) if !self.keys.iter().any(|(name, ..)| *name == key) => {
                    self.problems.push(format!("{key} ({place}): this is not a setting"));
                }
                Line::Set(_, value) if value.is_empty() => {}
                Line::Set(key, value) => {
                    self.values.insert(key.to_owned(), (value, place));
                }
            }
        }
    }

    /// A value, or the default. Its line is noted for printing.
    pub(super) fn text(&mut self, key: &str) -> String {
        let default = self.keys.iter().find(|(name, ..)| *name == key).map_or("", |(_, default, _)| *default);
        let (value, place) = self
            .values
            .get(key)
            .map_or((default, "default"), |(value, place)| (value.as_str(), place.as_str()));
        let secret = SECRET.iter().any(|word| key.contains(word)) && !value.is_empty();
        self.lines.push(format!("{key}={} ({place})", if secret { "***" } else { value }));
        value.to_owned()
    }

    /// A value that must be there.
    pub(super) fn required(&mut self, key: &str) -> String {
        let value = self.text(key);
        if value.is_empty() {
            self.problem(key, "not set");
        }
        value
    }

    /// A whole number.
    pub(super) fn number(&mut self, key: &str, least: u64, most: u64) -> u64 {
        let text = self.text(key);
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|n| digits && (least..=most).contains(n));
        number.unwrap_or_else(|| {
            self.problem(key, &format!("must be a whole number from {least} to {most}"));
            least
        })
    }

    /// Notes a problem.
    pub(super) fn problem(&mut self, key: &str, rule: &str) {
        let place = self.values.get(key).map(|(_, place)| format!(" ({place})")).unwrap_or_default();
        self.problems.push(format!("{key}{place}: {rule}"));
    }

    /// The noted lines.
    pub(super) fn lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// All problems.
    pub(super) fn problems(self) -> Vec<String> {
        self.problems
    }
}
