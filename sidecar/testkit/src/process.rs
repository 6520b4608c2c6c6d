//! One child process, which never outlives the test.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::eventually::{DEADLINE, eventually_within};
use crate::failure::{Context, Failure, Outcome};

pub use tpro_servers::process::{Signal, signal as signal_pid};

/// Waits until the test process is gone, then ends the process and removes its folder. A word on
/// its input dismisses it.
///
/// The pipe closes at any end of the test process, SIGKILL included. A death signal by prctl would
/// come already when the *thread* of one test ends, and would need unsafe code. An ended process
/// that nobody has reaped has no command line.
const WATCHER: &str = r#"
trap '' INT TERM HUP QUIT
read -r dismissed && exit
kill -s "$1" "$2"
tries=100
while [ $tries -gt 0 ] && grep -q . "/proc/$2/cmdline" 2>/dev/null; do tries=$((tries - 1)); sleep 0.1; done
kill -s KILL "$2" 2>/dev/null
[ -n "$3" ] && rm -rf "$3"
"#;

/// Lets this process open this number of files and connections, as far as it may. Returns the
/// number that it may open from now on.
pub fn open_files_max(wanted: u64) -> Outcome<u64> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(wanted, |most| wanted.min(most));
    if limit.current.is_some_and(|now| now < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).context("raising the limit of open files")?;
    }
    Ok(getrlimit(Resource::Nofile).current.unwrap_or(wanted))
}

/// A running child process with its output in a file.
pub struct Process {
    name: String,
    pid: u32,
    child: Mutex<Child>,
    log: PathBuf,
    /// The length of the log at the start: earlier processes wrote there, too.
    said_before: u64,
    ended_by: Signal,
    watcher: Mutex<Option<(Child, ChildStdin)>>,
}

impl Process {
    /// Starts `command`; its output is added to the file `log`. When the test is over or dies, the
    /// process gets the signal `ended_by`. If the test has died, `folder` is removed, too.
    pub fn start(
        name: impl Into<String>,
        mut command: Command,
        log: &Path,
        ended_by: Signal,
        folder: Option<&Path>,
    ) -> Outcome<Process> {
        let name = name.into();
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .context(format!("opening {}", log.display()))?;
        let said_before = output.metadata().context(format!("looking at {}", log.display()))?.len();
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().context(format!("starting {name}"))?;
        let pid = child.id();
        let mut process = Process {
            name,
            pid,
            child: Mutex::new(child),
            log: log.to_path_buf(),
            said_before,
            ended_by,
            watcher: Mutex::new(None),
        };
        process.watcher = Mutex::new(Some(watch(pid, ended_by, folder)?));
        Ok(process)
    }

    /// The process's name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The file of its output.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// All it has written so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// True if it has written anything since it was started.
    pub fn has_spoken(&self) -> bool {
        std::fs::metadata(&self.log).is_ok_and(|log| log.len() > self.said_before)
    }

    /// Sends a signal. A process that has ended takes none.
    pub fn signal(&self, signal: Signal) -> Outcome {
        if self.exit()?.is_some() {
            return Err(Failure::new(format!("{} has ended already", self.name)).with_log(&self.log));
        }
        signal_pid(self.pid, signal).context(format!("signalling {}", self.name))
    }

    /// Its exit status, if it has ended.
    pub fn exit(&self) -> Outcome<Option<ExitStatus>> {
        let mut child = self.child.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let exit = child.try_wait().context(format!("waiting for {}", self.name))?;
        if exit.is_some() {
            self.dismiss_watcher();
        }
        Ok(exit)
    }

    /// Waits until it has ended.
    pub async fn wait(&self) -> Outcome<ExitStatus> {
        self.wait_within(DEADLINE).await
    }

    /// Waits until it has ended, for as long as `limit`.
    pub async fn wait_within(&self, limit: Duration) -> Outcome<ExitStatus> {
        eventually_within(limit, &format!("{} ends", self.name), async || self.exit())
            .await
            .map_err(|failure| failure.with_log(&self.log))
    }

    /// Ends it with SIGKILL and waits for its end.
    pub async fn kill(&self) -> Outcome<ExitStatus> {
        self.signal(Signal::KILL)?;
        self.wait().await
    }

    fn dismiss_watcher(&self) {
        let watcher = self.watcher.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        if let Some((mut watcher, mut input)) = watcher {
            // A watcher that is gone cannot be dismissed and need not be.
            let _ = input.write_all(b"dismissed\n");
            drop(input);
            let _ = watcher.wait();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Ok(None) = child.try_wait() {
            // A stopped process takes no signal but these two.
            let _ = signal_pid(self.pid, self.ended_by);
            let _ = signal_pid(self.pid, Signal::CONT);
            let _ = child.wait();
        }
        self.dismiss_watcher();
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} (pid {})", self.name, self.pid)
    }
}

fn watch(pid: u32, ended_by: Signal, folder: Option<&Path>) -> Outcome<(Child, ChildStdin)> {
    let mut watcher = Command::new("sh")
        .args(["-c", WATCHER, "watcher", &ended_by.as_raw().to_string(), &pid.to_string()])
        .arg(folder.unwrap_or(Path::new("")))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(File::options().write(true).open("/dev/null")?)
        // Its own process group: a Ctrl-C in the terminal is not for it.
        .process_group(0)
        .spawn()
        .context("starting the watcher of a process")?;
    let input = watcher.stdin.take().context("the watcher has no input")?;
    Ok((watcher, input))
}
