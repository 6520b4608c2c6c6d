//! Processes by their ids.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process};

use crate::failure::{Context as _, Failure, Outcome};
use crate::files::first_line;

pub use rustix::process::Signal;

/// The longest time for a process to stand still, on any machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Sends a signal to any process, such as one backend of PostgreSQL. [`Signal::STOP`] has had its
/// effect when this returns.
pub fn signal(pid: u32, signal: Signal) -> Outcome {
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw).context(format!("{pid} is no process id"))?;
    kill_process(raw, signal).context(format!("sending {signal:?} to {pid}"))?;
    if signal == Signal::STOP { wait_until_it_stands_still(pid) } else { Ok(()) }
}

/// The boot and the tick that a process started at; none for one that is gone, or dead and not
/// reaped. A process id comes round again, after a reboot above all, so a process is known by its
/// id and this moment.
pub fn started_at(pid: u32) -> Option<String> {
    let fields = stat(Path::new(&format!("/proc/{pid}/stat")))?;
    if is_over(&fields) {
        return None;
    }
    let boot = first_line(Path::new("/proc/sys/kernel/random/boot_id"))?;
    Some(format!("{boot}/{}", fields.get(19)?))
}

/// The processes that this one has started.
pub fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The kernel stops a process by one of its threads, which has to get a CPU for that. Until then
/// the other threads go on: some milliseconds on a busy machine, enough to answer a message that
/// was to stay unanswered. A process that is no child sends its stop to nobody, so its threads are
/// looked at.
fn wait_until_it_stands_still(pid: u32) -> Outcome {
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        if stands_still(pid)? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Err(Failure::new(format!("process {pid} goes on {} s after SIGSTOP", PATIENCE.as_secs())))
}

/// True if each thread of the process is stopped, or gone.
fn stands_still(pid: u32) -> Outcome<bool> {
    let threads = || format!("the threads of {pid}");
    for thread in fs::read_dir(format!("/proc/{pid}/task")).context(threads())? {
        let Some(fields) = stat(&thread.context(threads())?.path().join("stat")) else { continue };
        let stopped = fields.first().is_some_and(|state| matches!(state.as_str(), "T" | "t"));
        if !stopped && !is_over(&fields) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// True if a process or thread is dead.
fn is_over(fields: &[String]) -> bool {
    fields.first().is_some_and(|state| matches!(state.as_str(), "Z" | "X"))
}

/// State and numbers of a process or thread, as the kernel tells them: proc(5).
fn stat(path: &Path) -> Option<Vec<String>> {
    let stat = fs::read(path).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name, in brackets before them, may hold anything.
    Some(stat.rsplit_once(") ")?.1.split(' ').map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_known_by_the_moment_it_started() {
        let me = std::process::id();
        let started = started_at(me).expect("this process runs");
        assert_eq!(started_at(me).as_deref(), Some(started.as_str()));
        assert!(started.len() > 37, "{started}");
        let mut child = Command::new("true").spawn().expect("a process");
        let pid = child.id();
        // Dead, and not reaped until it is waited for.
        while started_at(pid).is_some() {
            std::thread::yield_now();
        }
        assert!(Path::new(&format!("/proc/{pid}")).exists());
        child.wait().expect("its end");
    }

    #[test]
    fn a_process_stands_still_once_it_was_told_to() {
        let mut child = Command::new("sleep").arg("1000").spawn().expect("a process");
        let pid = child.id();
        signal(pid, Signal::STOP).expect("it stops");
        assert!(stands_still(pid).expect("it is there"));
        signal(pid, Signal::KILL).expect("it ends");
        child.wait().expect("its end");
        assert!(signal(0, Signal::TERM).is_err());
    }
}
