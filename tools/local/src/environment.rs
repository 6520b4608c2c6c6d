//! The addresses and secrets of what runs here, as lines for a shell to eval. What is not there has
//! no line, so eval is always safe.

use std::io::{self, Write as _};

use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome};
use crate::{digest, nats_users, process, secret, services, state};

/// Prints the lines.
pub fn print(checkout: &Checkout) -> Outcome {
    io::stdout().write_all(text(checkout)?.as_bytes()).context("writing to standard output")
}

/// Keeps the lines in .local/env, for programs of the checkout.
pub fn save(checkout: &Checkout) -> Outcome {
    secret::replace(&checkout.path(".local/env"), &text(checkout)?)
}

fn text(checkout: &Checkout) -> Outcome<String> {
    Ok(lines(&variables(checkout)?))
}

/// The lines of these variables.
pub fn lines(variables: &[(String, String)]) -> String {
    variables.iter().map(|(name, value)| line(name, value)).collect()
}

/// The names and values.
pub fn variables(checkout: &Checkout) -> Outcome<Vec<(String, String)>> {
    let database = services::env_file(checkout, "main").get("DATABASE_URL");
    variables_of(checkout, database, &|copy| process::running(checkout, copy))
}

/// The names and values, with this address of main's database and these copies that run.
pub fn variables_of(
    checkout: &Checkout,
    database: Option<String>,
    runs: &dyn Fn(&str) -> bool,
) -> Outcome<Vec<(String, String)>> {
    let mut paper = Paper { checkout, lines: Vec::new(), ours: Vec::new() };
    let url = |name: &str, key: &str, scheme: &str| {
        state::port(checkout, name, key).map(|port| format!("{scheme}://127.0.0.1:{port}"))
    };
    paper.local("DATABASE_URL", database);
    let nats = url("nats", "port", "nats");
    let has_nats = nats.is_some();
    paper.local("NATS_URL", nats);
    if checkout.settings.get("NATS_URL").is_none() && has_nats {
        // The user with all rights: this is for people and the demo, each service has a user of its
        // own.
        paper.local("NATS_USER", Some(nats_users::ADMIN.to_owned()));
        paper.local("NATS_PASSWORD", Some(nats_users::password(checkout, nats_users::ADMIN)?));
    }
    paper.local("NATS_MONITOR_URL", url("nats", "monitor", "http"));
    paper.local("JAEGER_URL", url("jaeger", "ui", "http"));
    paper.local("OTEL_EXPORTER_OTLP_ENDPOINT", url("jaeger", "otlp", "http"));
    for name in services::all(checkout) {
        let copies = services::known_copies(checkout, &name);
        let running = copies.iter().filter(|copy| runs(&format!("{name}-{copy}")));
        for (n, copy) in running.enumerate() {
            let Some(url) = url(&format!("{name}-{copy}"), "port", "http") else { continue };
            let upper = name.to_uppercase();
            // After a release that replaced it the first copy may be another than number 1.
            if n == 0 {
                paper.line(&format!("{upper}_URL"), &url);
            }
            paper.line(&format!("{upper}_{copy}_URL"), &url);
        }
    }
    let ours = paper.ours.join(" ");
    if !ours.is_empty() {
        paper.line("MAKE_ENV_DIGESTS", &ours);
    }
    Ok(paper.lines)
}

struct Paper<'a> {
    checkout: &'a Checkout,
    lines: Vec<(String, String)>,
    /// The digests of the lines that this installation chose: see Settings::forget_leftovers.
    ours: Vec<String>,
}

impl Paper<'_> {
    fn line(&mut self, name: &str, value: &str) {
        self.lines.push((name.to_owned(), value.to_owned()));
    }

    /// A value that this installation chooses, unless the user has.
    fn local(&mut self, name: &str, value: Option<String>) {
        if let Some(given) = self.checkout.settings.get(name) {
            self.line(name, &given);
        } else if let Some(value) = value {
            self.line(name, &value);
            self.ours.push(digest::short(&format!("{name}={value}")));
        }
    }
}

/// A line, quoted for any shell.
fn line(name: &str, value: &str) -> String {
    format!("export {name}='{}'\n", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_text_in_a_shell() {
        assert_eq!(line("A", "x'; touch pwned; '"), "export A='x'\\''; touch pwned; '\\'''\n");
    }
}
