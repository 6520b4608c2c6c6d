//! Processes that outlive the command that started them.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tpro_servers::files::first_line;
use tpro_servers::process;

use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome};
use crate::state;

pub use tpro_servers::process::{Signal, started_at};

/// The time between two looks at a process.
pub const LOOK: Duration = Duration::from_millis(50);

/// Closes all but the three standard files, and becomes the command.
const LET_GO: &str = r#"
for fd in /proc/self/fd/*; do
  fd=${fd##*/}
  ((fd <= 2)) || eval "exec $fd>&-" 2>/dev/null || true
done
exec "$@"
"#;

/// The id of the running process of this name.
pub fn pid_of(checkout: &Checkout, name: &str) -> Option<u32> {
    let pid = first_line(&checkout.run_folder().join(format!("{name}.pid")))?.parse().ok()?;
    let started = started_at(pid)?;
    (state::get(checkout, name, "started")? == started).then_some(pid)
}

/// True if the process of this name runs.
pub fn running(checkout: &Checkout, name: &str) -> bool {
    pid_of(checkout, name).is_some()
}

/// Starts a command detached and returns its process id. Its standard output goes nowhere (each
/// program keeps a log of its own), its last words on standard error to NAME.err.
pub fn spawn(checkout: &Checkout, name: &str, command: &Command) -> Outcome<u32> {
    let path = checkout.run_folder().join(format!("{name}.err"));
    let errors = File::create(&path).context(format!("making {}", path.display()))?;
    // setsid is that process itself in the end, since it leads no group of processes.
    let mut detached = letting_go(command, Some("setsid"));
    detached.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
    let child = detached.spawn().context(format!("starting {name}"))?;
    Ok(child.id())
}

/// A copy of the command that inherits none but the three standard files, run by another program if
/// one is named. A process that lives on must keep neither a lock nor a pipe of our caller. Files
/// that this program has opened itself are closed anyway.
pub fn letting_go(command: &Command, by: Option<&str>) -> Command {
    let mut alone = Command::new("bash");
    alone.args(["--norc", "-c", LET_GO, "bash"]).args(by);
    alone.arg(command.get_program()).args(command.get_args());
    alone.env_clear().envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    if let Some(folder) = command.get_current_dir() {
        alone.current_dir(folder);
    }
    alone
}

/// Remembers a process and its settings. One that has ended already does not run.
pub fn remember(checkout: &Checkout, name: &str, pid: u32, settings: &[(&str, &str)]) -> Outcome {
    let started = started_at(pid).unwrap_or_default();
    let mut values = vec![("started", started.as_str())];
    values.extend(settings);
    state::put(checkout, name, &values)?;
    state::replace(&checkout.run_folder().join(format!("{name}.pid")), &format!("{pid}\n"))
}

/// Forgets the id of a process that was stopped; its settings stay.
pub fn forget_pid(checkout: &Checkout, name: &str) {
    // It may not be there.
    let _ = fs::remove_file(checkout.run_folder().join(format!("{name}.pid")));
}

/// Waits for the end of a process. False: it goes on after this time.
pub fn gone_within(checkout: &Checkout, name: &str, patience: Duration) -> bool {
    let since = Instant::now();
    while running(checkout, name) {
        if since.elapsed() >= patience {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    true
}

/// Waits until a process that was started is ready. False, with its last words told: it has ended,
/// or is not ready within this time.
pub fn is_up_within(
    checkout: &Checkout,
    name: &str,
    log: Option<&Path>,
    patience: Duration,
    mut ready: impl FnMut() -> bool,
) -> bool {
    let since = Instant::now();
    while !ready() {
        if !running(checkout, name) || since.elapsed() >= patience {
            last_words(checkout, name, log);
            return false;
        }
        std::thread::sleep(LOOK);
    }
    true
}

/// Sends a signal. A process that has ended meanwhile takes none.
pub fn signal(pid: u32, signal: Signal) {
    let _ = process::signal(pid, signal);
}

/// Tells the last output of a process that failed: of its log, if it has one, and of NAME.err.
pub fn last_words(checkout: &Checkout, name: &str, log: Option<&Path>) {
    let errors = checkout.run_folder().join(format!("{name}.err"));
    for file in log.into_iter().chain([errors.as_path()]) {
        let text = String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned();
        if text.is_empty() {
            continue;
        }
        let lines: Vec<&str> = text.lines().collect();
        let shown = file.strip_prefix(&checkout.root).unwrap_or(file).display();
        checkout.screen.to_stderr(|| {
            checkout.screen.say(format!("--- the end of {shown}"));
            lines[lines.len().saturating_sub(15)..].iter().for_each(|line| checkout.screen.say(line));
        });
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn a_process_that_lives_on_keeps_no_file_of_the_caller() {
        let file = File::open("/dev/null").expect("a file");
        // A copy that a child would inherit.
        let inherited = rustix::io::dup(file.as_fd()).expect("a copy");
        let mut sees = Command::new("bash");
        sees.args(["--norc", "-c", "echo /proc/self/fd/*"]).env("PATH", "/usr/bin:/bin");
        let files = |command: &mut Command| {
            let output = command.stdin(Stdio::null()).output().expect("bash runs");
            String::from_utf8_lossy(&output.stdout).split_whitespace().count()
        };
        let (all, kept) = (files(&mut sees), files(&mut letting_go(&sees, None)));
        // The last one is the folder that bash reads.
        assert!(all >= 5 && kept == 4, "{all} {kept}");
        drop(inherited);
    }
}
