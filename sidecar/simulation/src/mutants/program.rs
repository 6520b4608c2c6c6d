//! The programs that look for a mutant.

use std::{
    env, fs,
    io::{self, Read as _},
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::checkout::Checkout;

/// A program that lasts so much longer than it was told to does not end any more.
const PATIENCE: Duration = Duration::from_secs(120);
/// The pause between two looks whether a program has ended.
const LOOK: Duration = Duration::from_millis(50);

/// The programs, with all mutants in them.
pub struct Programs {
    simulate: PathBuf,
    tests: PathBuf,
}

impl Programs {
    /// Builds them in the copy. The inner error is what the compiler says.
    pub fn build(checkout: &Checkout) -> io::Result<Result<Self, String>> {
        let simulate: &[&str] = &["build", "-p", "tpro-simulation", "--bin", "tpro-simulate"];
        let tests: &[&str] = &["test", "-p", "tpro-dispatcher", "--lib", "--no-run"];
        let mut programs = Vec::new();
        for arguments in [simulate, tests] {
            let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let extra = env::var("TPRO_MUTANTS_FLAGS").unwrap_or_default();
            let built = Command::new(cargo)
                .args(arguments)
                .args(["--message-format", "json-render-diagnostics"])
                .args(extra.split_whitespace())
                .current_dir(checkout.root())
                .output()?;
            if !built.status.success() {
                return Ok(Err(String::from_utf8_lossy(&built.stderr).into_owned()));
            }
            let said = String::from_utf8_lossy(&built.stdout).into_owned();
            programs.push(executable(&said).ok_or_else(|| io::Error::other("cargo names no program"))?);
        }
        let [simulate, tests] = <[_; 2]>::try_from(programs).map_err(|_| io::Error::other("no programs"))?;
        Ok(Ok(Self { simulate, tests }))
    }

    /// Runs the unit tests with this mutant: how they find it.
    pub fn test(&self, number: usize) -> io::Result<Option<String>> {
        let mut tests = Command::new(&self.tests);
        tests.args(["--skip", "driver::"]);
        // Cases in which a mutant fails are nothing to keep beside the sources.
        tests.env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1");
        let (ended, said) = watch(tests, number, PATIENCE)?;
        Ok(match ended {
            Some(true) => None,
            Some(false) => {
                let failed = said.lines().filter(|line| line.ends_with("... FAILED")).count();
                Some(format!("{failed} fail"))
            }
            None => Some("they do not end".to_owned()),
        })
    }

    /// Runs the simulation with this mutant: how it finds it.
    pub fn simulate(&self, number: usize, seconds: u64) -> io::Result<Option<String>> {
        let mut simulate = Command::new(&self.simulate);
        simulate.args(["find", &seconds.to_string()]);
        let (ended, said) = watch(simulate, number, Duration::from_secs(seconds) + PATIENCE)?;
        Ok(match ended {
            Some(true) => None,
            Some(false) => Some(said.lines().last().unwrap_or("it fails").to_owned()),
            None => Some("it does not end".to_owned()),
        })
    }
}

/// The last program that cargo has built.
fn executable(said: &str) -> Option<PathBuf> {
    let named = said.lines().rev().find_map(|line| line.split_once("\"executable\":\""))?;
    Some(PathBuf::from(named.1.split_once('"')?.0))
}

/// Runs a program: true if it succeeds, none if it does not end; and what it says.
fn watch(mut program: Command, number: usize, limit: Duration) -> io::Result<(Option<bool>, String)> {
    let log = env::temp_dir().join(format!("tpro-mutant-{}-{number}.log", std::process::id()));
    program.env("TPRO_MUTANT", number.to_string());
    let mut child = program.stdout(fs::File::create(&log)?).stderr(Stdio::null()).spawn()?;
    let begin = Instant::now();
    let ended = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status.success());
        }
        if begin.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            break None;
        }
        std::thread::sleep(LOOK);
    };
    let mut said = String::new();
    fs::File::open(&log)?.read_to_string(&mut said)?;
    fs::remove_file(&log)?;
    Ok((ended, said))
}
