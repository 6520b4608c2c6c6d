//! The output of a command: lines, remarks, notes, warnings, and numbered steps with their times.

use std::cell::Cell;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// The place that lines go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Output,
    Errors,
    Nowhere,
}

/// The terminal, pipe or file that a command writes to.
#[derive(Debug)]
pub struct Screen {
    /// Standard output is a terminal.
    pub is_terminal: bool,
    /// The code that begins bold text. This and the other codes are empty where there is no colour.
    pub bold: &'static str,
    /// The code that begins dim text.
    pub dim: &'static str,
    /// The code that begins red text.
    pub red: &'static str,
    /// The code that begins yellow text.
    pub yellow: &'static str,
    /// The code that ends them.
    pub plain: &'static str,
    place: Cell<Place>,
    without_remarks: Cell<bool>,
    steps: Cell<(usize, usize)>,
    step_at: Cell<Option<Instant>>,
}

impl Screen {
    /// The screen of this process. `variable` reads its environment.
    pub fn new(variable: impl Fn(&str) -> Option<String>) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let dumb = variable("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let coloured = is_terminal && !dumb && variable("NO_COLOR").is_none_or(|value| value.is_empty());
        let code = |code: &'static str| if coloured { code } else { "" };
        Self {
            is_terminal,
            bold: code("\u{1b}[1m"),
            dim: code("\u{1b}[2m"),
            red: code("\u{1b}[31m"),
            yellow: code("\u{1b}[33m"),
            plain: code("\u{1b}[0m"),
            place: Cell::new(Place::Output),
            without_remarks: Cell::new(variable("QUIET").is_some_and(|value| !value.is_empty())),
            steps: Cell::new((0, 0)),
            step_at: Cell::new(None),
        }
    }

    /// Says a line.
    pub fn say(&self, text: impl AsRef<str>) {
        // A reader that is gone is no reason to leave the work half done.
        let _ = match self.place.get() {
            Place::Output => writeln!(io::stdout(), "{}", text.as_ref()),
            Place::Errors => writeln!(io::stderr(), "{}", text.as_ref()),
            Place::Nowhere => Ok(()),
        };
    }

    /// Says that something is already as it should be. Silent where that is only a means.
    pub fn remark(&self, text: impl AsRef<str>) {
        if !self.without_remarks.get() {
            self.say(text);
        }
    }

    /// Says a line in dim letters.
    pub fn note(&self, text: impl AsRef<str>) {
        self.say(format!("{}{}{}", self.dim, text.as_ref(), self.plain));
    }

    /// Notes on standard error, where it cannot get into the output of a command.
    pub fn note_aside(&self, text: impl AsRef<str>) {
        self.to_stderr(|| self.note(text));
    }

    /// Warns, on standard error.
    pub fn warn(&self, text: impl AsRef<str>) {
        let _ = writeln!(io::stderr(), "{}warning:{} {}", self.yellow, self.plain, text.as_ref());
    }

    /// Says an error, on standard error.
    pub fn error(&self, text: impl AsRef<str>) {
        let _ = writeln!(io::stderr(), "{}error:{} {}", self.red, self.plain, text.as_ref());
    }

    /// From now on remarks are silent: the work is a means of another.
    pub fn hush(&self) {
        self.without_remarks.set(true);
    }

    /// Does work whose lines go to standard error.
    pub fn to_stderr<T>(&self, work: impl FnOnce() -> T) -> T {
        self.elsewhere(Place::Errors, work)
    }

    /// Does work whose lines are not told. Its warnings and errors are.
    pub fn nowhere<T>(&self, work: impl FnOnce() -> T) -> T {
        self.elsewhere(Place::Nowhere, work)
    }

    fn elsewhere<T>(&self, place: Place, work: impl FnOnce() -> T) -> T {
        let before =
            self.place.replace(if self.place.get() == Place::Nowhere { Place::Nowhere } else { place });
        let done = work();
        self.place.set(before);
        done
    }

    /// The number of steps to come.
    pub fn steps(&self, count: usize) {
        self.steps.set((0, count));
    }

    /// Begins the next step, and says how long the one before took.
    pub fn step(&self, title: impl AsRef<str>) {
        self.step_done();
        let (last, count) = self.steps.get();
        self.steps.set((last + 1, count));
        self.step_at.set(Some(Instant::now()));
        self.say(format!("{}[{}/{count}] {}{}", self.bold, last + 1, title.as_ref(), self.plain));
    }

    /// Says how long the last step took.
    pub fn step_done(&self) {
        if let Some(at) = self.step_at.take() {
            self.note(format!("      {}", since(at)));
        }
    }
}

/// The time since a moment, as a person says it.
pub fn since(at: Instant) -> String {
    span(at.elapsed())
}

fn span(time: Duration) -> String {
    let ms = time.as_millis();
    if ms < 60_000 {
        format!("{}.{} s", ms / 1000, ms % 1000 / 100)
    } else {
        format!("{} min {:02} s", ms / 60_000, ms % 60_000 / 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        assert_eq!(span(Duration::from_millis(59_999)), "59.9 s");
        assert_eq!(span(Duration::from_millis(60_000)), "1 min 00 s");
        assert_eq!(span(Duration::from_millis(40)), "0.0 s");
    }

    #[test]
    fn what_is_told_nowhere_stays_untold_within() {
        let screen = Screen::new(|_| None);
        screen.nowhere(|| screen.to_stderr(|| assert_eq!(screen.place.get(), Place::Nowhere)));
        assert_eq!(screen.place.get(), Place::Output);
    }
}
