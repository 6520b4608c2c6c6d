//! Reads one key after the other, and collects problems instead of stopping at the first.

use tpro_dotenv::go::Now;

use super::{
    key,
    layers::{Found, Layers},
    origin::Origin,
    own::OwnSetting,
    print::Setting,
    problem::{Problem, Problems},
};

/// The state of one reading.
pub(super) struct Reader {
    layers: Layers,
    problems: Vec<Problem>,
    settings: Vec<Setting>,
}

impl Reader {
    pub(super) fn new(mut layers: Layers) -> Self {
        let problems = std::mem::take(&mut layers.problems);
        Self { layers, problems, settings: Vec::new() }
    }

    /// The value of a key, if set.
    pub(super) fn find(&self, key: &'static str) -> Option<Found<'_>> {
        assert!(key::find(key).is_some(), "{key} is missing in the table of keys");
        self.layers.find(key)
    }

    /// A value by its parser, or the default; a value that is refused becomes a problem.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        let Some(Found { value, origin }) = self.find(key) else {
            // The address says it all in one line; the pieces only where they are set.
            if !key.starts_with("PG") {
                let text = key::find(key).map_or("", |k| k.default);
                self.settings.push(Setting::new(key, text, Origin::Default));
            }
            return default;
        };
        let shown = key::shown(key, value);
        match parse(value) {
            Ok(parsed) => {
                self.settings.push(Setting::new(key, &shown, origin));
                parsed
            }
            Err(rule) => {
                let shown = (!key::is_secret(key)).then_some(shown);
                self.problems.push(Problem::bad(key, origin, shown, rule));
                default
            }
        }
    }

    /// A text that is taken as it is.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.parsed(key, None, |text| Ok(Some(text.to_owned())))
    }

    /// True if a variable is set that is no setting of ours.
    pub(super) fn is_in_environment(&self, name: &str) -> bool {
        self.layers.find(name).is_some()
    }

    /// Notes a problem that is not one value's.
    pub(super) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Notes the line to print for a key that was read by hand.
    pub(super) fn setting(&mut self, setting: Setting) {
        self.settings.push(setting);
    }

    /// Notes something odd.
    pub(super) fn warn(&mut self, warning: String) {
        self.layers.warnings.push(warning);
    }

    /// Checks a setting of the service's own by its rule, and notes the line to print for it.
    pub(super) fn own(&mut self, own: &OwnSetting) {
        let found = self.layers.find(own.key);
        let value = found.as_ref().map_or(own.default, |found| found.value);
        let is_secret = own.is_secret || key::sounds_secret(own.key);
        if let Err(rule) = (own.check)(value) {
            // A rule may repeat a secret, whole or in part.
            let hides = is_secret && !value.is_empty();
            let rule = if hides { "the value breaks the rule of this setting".to_owned() } else { rule };
            let problem = match &found {
                None if value.is_empty() => {
                    Problem::unset(own.key, format!("not set: {rule} ({})", own.help))
                }
                _ => {
                    let origin = found.as_ref().map_or(Origin::Default, |found| found.origin.clone());
                    Problem::bad(own.key, origin, (!is_secret).then(|| value.to_owned()), rule)
                }
            };
            return self.problems.push(problem);
        }
        let shown = if is_secret && !value.is_empty() { "***" } else { value };
        let setting = Setting::new(own.key, shown, found.map_or(Origin::Default, |found| found.origin));
        self.settings.push(setting);
    }

    /// All problems, or what was read.
    pub(super) fn finish(
        mut self,
        own: &[OwnSetting],
    ) -> Result<(Layers, Vec<Setting>, Vec<String>), Problems> {
        let unknown = self.layers.keys().filter_map(|(key, origin)| unknown(own, key, origin));
        if !self.problems.is_empty() {
            // By itself an unknown key keeps nobody from starting; beside a problem it may be its
            // reason.
            self.problems.extend(unknown);
            return Err(Problems(self.problems));
        }
        let unknown: Vec<String> = unknown.map(|unknown| unknown.to_string()).collect();
        let mut warnings = std::mem::take(&mut self.layers.warnings);
        warnings.extend(unknown);
        Ok((self.layers, self.settings, warnings))
    }
}

/// The problem of this key, if it looks as if it were meant for a sidecar and is not known.
fn unknown(own: &[OwnSetting], key: &str, origin: Origin) -> Option<Problem> {
    if key::find(key).is_some() || own.iter().any(|own| own.key == key) {
        return None;
    }
    // The file is ours altogether; a variable only if its name has one of our prefixes.
    if origin == Origin::Environment && !key::looks_like_ours(key) {
        return None;
    }
    let hint = match tpro_dotenv::go::now(key) {
        Some(Now::Is(new)) => format!("; it is {new} now"),
        Some(Now::Gone(reason)) => format!(" any more: {reason}"),
        Some(Now::OfCheckout) => "; the .env of the checkout has it, for RUNTIME=docker".to_owned(),
        None => {
            let near = key::nearest(own.iter().map(|own| own.key), key);
            near.map_or_else(String::new, |name| format!("; did you mean {name}?"))
        }
    };
    Some(Problem::bad(key, origin, None, format!("this is not a setting{hint}")))
}
