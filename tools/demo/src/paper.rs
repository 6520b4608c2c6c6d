//! The printed page: aligned, calm, in colour only for a terminal.

use std::io::IsTerminal as _;

/// The column at which the labelled text begins.
const LABEL: usize = 12;

/// The paper that is written on.
pub struct Paper {
    colour: bool,
}

impl Paper {
    /// Colour for a terminal, unless `NO_COLOR` or a dumb terminal says otherwise.
    pub fn new() -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let dumb = set("TERM").is_none_or(|term| term == "dumb");
        Self { colour: std::io::stdout().is_terminal() && set("NO_COLOR").is_none() && !dumb }
    }

    /// A heading.
    pub fn heading(&self, text: &str) {
        println!("\n{}", self.painted("1", text));
    }

    /// A case's number and name.
    pub fn case(&self, number: usize, name: &str) {
        println!("\n{}", self.painted("1", &format!("  {number}  {name}")));
    }

    /// A statement, as it was sent.
    pub fn statement(&self, statement: &str) {
        for line in statement.lines() {
            println!("     {}", self.painted("2", line.trim_end()));
        }
    }

    /// A labelled line; further lines of the text are aligned under the first.
    pub fn line(&self, label: &str, text: &str) {
        let text = text.replace('\n', &format!("\n     {:LABEL$}", ""));
        println!("     {label:<LABEL$}{text}");
    }

    /// As expected.
    pub fn good(&self, text: &str) {
        println!("     {:<LABEL$}{}{text}", "expected", self.painted("32", "yes: "));
    }

    /// Not as expected.
    pub fn bad(&self, text: &str) {
        println!("     {:<LABEL$}{}{text}", "expected", self.painted("1;31", "NO: "));
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Milliseconds as people say them.
pub fn time(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.2} s", ms / 1_000.0),
    }
}
