//! The output of a command.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use rustix::termios;
use serde::Serialize;

use crate::plain::{plain, plain_json};
use crate::problem::{Ending, Problem};
use crate::table::{Table, cut};

/// The page that a command writes. It is printed as a whole at the end.
pub struct Paper {
    text: String,
    /// The width of the terminal in columns; none if the output goes to a file or a pipe.
    pub width: Option<usize>,
    bold: bool,
    live: bool,
}

impl Paper {
    /// For standard output.
    pub fn new(environment: impl Fn(&str) -> Option<String>) -> Self {
        let terminal = io::stdout().is_terminal();
        let asked =
            environment("COLUMNS").and_then(|columns| columns.parse().ok()).filter(|columns| *columns > 0);
        let size = || termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
        let width = asked.or_else(|| size().filter(|columns| terminal && *columns > 0));
        let set = |name: &str| environment(name).is_some_and(|value| !value.is_empty());
        let dumb = environment("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
        Self {
            text: String::new(),
            width,
            bold: terminal && !set("NO_COLOR") && !dumb,
            live: terminal && !dumb,
        }
    }

    /// A line. Control characters in it become codes.
    pub fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "{}", plain(line));
    }

    /// A title, cut where the terminal ends.
    pub fn title(&mut self, line: &str) {
        let line = plain(line);
        self.line(&self.width.map_or(line.clone(), |width| cut(&line, width).into_owned().into()));
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.text.push('\n');
    }

    /// A table, no wider than the terminal.
    pub fn table(&mut self, table: &Table) {
        for (n, line) in table.lines(self.width).iter().enumerate() {
            if n == 0 { self.bold(line) } else { self.line(line) }
        }
    }

    fn bold(&mut self, line: &str) {
        let line = plain(line);
        let _ = if self.bold {
            writeln!(self.text, "\u{1b}[1m{line}\u{1b}[0m")
        } else {
            writeln!(self.text, "{line}")
        };
    }

    /// True if the output is a terminal that can be written over.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Prints the page. False: the reader is gone.
    pub fn print(self) -> Result<bool, Problem> {
        print(&self.text)
    }

    /// Prints the page over the screen, as far as there is room.
    pub fn print_over(self) -> Result<bool, Problem> {
        let rows = termios::tcgetwinsize(io::stdout()).map_or(24, |size| usize::from(size.ws_row).max(2));
        let lines: Vec<&str> = self.text.lines().take(rows - 1).collect();
        print(&format!("\u{1b}[H\u{1b}[2J{}\n", lines.join("\n")))
    }
}

/// Prints a document of JSON.
pub fn print_json(document: &impl Serialize) -> Result<bool, Problem> {
    let json = serde_json::to_string_pretty(document).map_err(unprintable)?;
    print(&format!("{}\n", plain_json(&json)))
}

/// Prints a document of JSON as one line.
pub fn print_json_line(document: &impl Serialize) -> Result<bool, Problem> {
    let json = serde_json::to_string(document).map_err(unprintable)?;
    print(&format!("{}\n", plain_json(&json)))
}

/// Prints text. False: the reader is gone (`| head`), which is no problem.
pub fn print(text: &str) -> Result<bool, Problem> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(unprintable(error)),
        Ok(()) => Ok(true),
    }
}

/// Writes a message to standard error.
pub fn say(text: &str) {
    complain(&format!("tpro: {text}\n"));
}

/// Writes lines to standard error. Control characters in them become codes.
pub fn complain(text: &str) {
    let lines: Vec<_> = text.split('\n').map(plain).collect();
    let _ = io::stderr().write_all(lines.join("\n").as_bytes());
}

fn unprintable(error: impl std::fmt::Display) -> Problem {
    Problem::new(Ending::Unreachable, format!("the output cannot be written: {error}"), "")
}
