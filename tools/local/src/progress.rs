//! The progress of a long command: its output goes to a log, and the screen shows how far it is.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome, fail};
use crate::say::since;

/// The lines of the log that are shown when the command has failed.
const LAST_LINES: usize = 25;

/// Runs a command with its output in `log`, a path in the checkout, and its progress on the screen.
pub fn logged(checkout: &Checkout, log: &str, label: &str, mut command: Command) -> Outcome {
    let path = checkout.path(log);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).context(format!("making {}", folder.display()))?;
    }
    let file = File::create(&path).context(format!("writing {log}"))?;
    let errors = file.try_clone().context(format!("writing {log}"))?;
    command.stdin(Stdio::null()).stdout(file).stderr(errors);
    let program = command.get_program().display().to_string();
    // It is waited for beside the ticks, so that its end is seen at once.
    let (ended, end) = mpsc::channel();
    let waiting = thread::spawn(move || {
        let _ended: Sender<()> = ended;
        command.status()
    });
    tick(checkout, &path, label, &end);
    let Ok(status) = waiting.join() else { return fail(format!("{label}: waiting for {program} failed")) };
    if status.context(format!("{label}: starting {program}"))?.success() {
        return Ok(());
    }
    for line in last_lines(&path, LAST_LINES) {
        eprintln!("{line}");
    }
    fail(format!("{label} failed; all of its output is in {log}"))
}

/// Shows how far the command is until it has ended: on a terminal in place, else a line now and
/// then.
fn tick(checkout: &Checkout, log: &Path, label: &str, end: &Receiver<()>) {
    let began = Instant::now();
    let screen = &checkout.screen;
    let (pause, width) = if screen.is_terminal { (1, 70) } else { (30, 100) };
    while end.recv_timeout(Duration::from_secs(pause)) == Err(RecvTimeoutError::Timeout) {
        let state: String = state(log).chars().take(width).collect();
        let text = format!("      {label}  {}  {state}", since(began));
        if screen.is_terminal { in_place(&text) } else { screen.say(text) }
    }
    if screen.is_terminal {
        in_place("");
    }
}

/// Writes over the line that the cursor is in.
fn in_place(text: &str) {
    let mut output = io::stdout();
    // A terminal that is gone is no reason to stop the command.
    let _ = write!(output, "\r\u{1b}[K{text}").and_then(|()| output.flush());
}

/// The last line of the log; before it, of cargo, the number of crates so far.
fn state(log: &Path) -> String {
    let last = last_lines(log, 1).pop().unwrap_or_default();
    let last: String = last.trim_start().chars().filter(|letter| !letter.is_control()).collect();
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let is_crate = |line: &&str| {
        line.trim_start().starts_with("Compiling ") || line.trim_start().starts_with("Checking ")
    };
    match text.lines().filter(is_crate).count() {
        0 => last,
        crates => format!("{crates} crates so far, {last}"),
    }
}

/// The last lines of a file; none of a file that cannot be read.
pub fn last_lines(path: &Path, count: usize) -> Vec<String> {
    /// No line that is worth reading is longer.
    const LINE: u64 = 1000;
    let read = || {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LINE * count as u64)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].iter().map(|line| (*line).to_owned()).collect()
}
