//! The command line. `tests/cmd` keeps help and mistakes as they are printed; `TRYCMD=overwrite`
//! writes them again.

use std::io::Write as _;
use std::process::{Command, Stdio};

use tpro_testkit::{Context, Outcome};

use crate::tool::{run, tpro};

#[test]
fn help_and_mistakes_are_printed_as_they_are_kept() {
    let cases = trycmd::TestCases::new();
    cases.register_bin("tpro", std::path::PathBuf::from(env!("CARGO_BIN_EXE_tpro")));
    // The developer's own database is not meant.
    for name in ["DATABASE_URL", "PGHOST", "PGHOSTADDR", "PGUSER", "PGDATABASE"] {
        cases.env(name, "");
    }
    cases.case("tests/cmd/*.trycmd");
}

#[test]
fn bash_takes_the_completions_and_zsh_knows_whose_they_are() -> Outcome {
    let bash = run(&mut tpro(&["completions", "bash"]))?.ended(0)?;
    assert!(bash.out.contains("--database-url") && bash.out.contains("health"), "{}", bash.out);
    let mut check = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().context("running bash")?;
    check.stdin.take().context("no input")?.write_all(bash.out.as_bytes())?;
    assert!(check.wait()?.success());
    let zsh = run(&mut tpro(&["completions", "zsh"]))?.ended(0)?;
    assert!(zsh.out.starts_with("#compdef tpro\n"), "{}", zsh.out);
    Ok(())
}
