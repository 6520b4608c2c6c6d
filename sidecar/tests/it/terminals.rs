//! Copies that were started from a terminal, and what becomes of them when it closes.

use std::process::Command;
use std::sync::Arc;

use serde_json::json;
use tpro_testkit::{Context, Outcome, SidecarProcess, Signal, World, eventually, paths};

use crate::rogue::Rogue;

/// A copy in a terminal that `script` has made. It is no child of the test, which ends it.
struct InTerminal {
    terminal: Arc<SidecarProcess>,
    copy: u32,
    log: std::path::PathBuf,
}

impl InTerminal {
    /// Starts it by this command of a shell, in which `$COPY` is the program.
    async fn start(world: &World, number: u32, command: &str) -> Outcome<InTerminal> {
        let log = world.folder().join(format!("in-terminal-{number}.log"));
        let copy = world.sidecar_of("rogue", "/usr/bin/script".into()).copy(number);
        let copy = copy.env("COPY", paths::rogue()?.display()).env("LOG_FILE_NAME", log.display());
        let terminal = world.spawn(copy.arg("-qec").arg(command).arg("/dev/null"))?;
        terminal.ready().await?;
        let named = format!("tpro/rogue/{number}/");
        let pid = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE $1 || '%'";
        assert!(world.admin.query_one(pid, &[&named]).await?.get::<_, i64>(0) > 0);
        let copy = descendant(terminal.process().pid())?.context("the copy runs")?;
        Ok(InTerminal { terminal, copy, log })
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn lives(&self) -> bool {
        let program = std::fs::read(format!("/proc/{}/cmdline", self.copy)).unwrap_or_default();
        !program.is_empty()
    }

    fn signal(&self, signal: &str) -> Outcome {
        Command::new("kill").args([signal, &self.copy.to_string()]).status().context("kill")?;
        Ok(())
    }
}

impl Drop for InTerminal {
    fn drop(&mut self) {
        if self.lives() {
            let _ = self.signal("-KILL");
        }
    }
}

/// The process under this one that runs the service.
fn descendant(pid: u32) -> Outcome<Option<u32>> {
    for child in std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?.split_whitespace() {
        let child: u32 = child.parse()?;
        if std::fs::read_link(format!("/proc/{child}/exe"))? == paths::rogue()?.canonicalize()? {
            return Ok(Some(child));
        }
        if let Some(found) = descendant(child)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

#[tpro_testkit::test]
async fn a_copy_ends_in_good_order_with_the_terminal_that_it_runs_in() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 60_000)).await?;
    let rogue = InTerminal::start(&world, 1, "exec \"$COPY\"").await?;
    // Not by this signal alone, as long as the terminal is there.
    rogue.signal("-HUP")?;
    eventually("it has heard SIGHUP", async || Ok(rogue.log().contains("SIGHUP"))).await?;
    let hold = Rogue::hold(&world).await?;
    let id = world.publish(&Rogue::request("default.effect", Rogue::held())).await?;
    Rogue::waiting(&world, 1).await?;
    rogue.terminal.signal(Signal::KILL)?;
    eventually("it stops", async || Ok(rogue.log().contains("SIGHUP (the terminal is gone): stopping")))
        .await?;
    drop(hold);
    let reply = world.await_reply(id).await?;
    assert_eq!((reply.status.as_str(), reply.attempts), ("ok", 1), "{reply:?}");
    eventually("it has ended", async || Ok(!rogue.lives())).await?;
    assert!(rogue.log().trim_end().ends_with("stopped"), "{}", rogue.log());
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_copy_that_is_to_outlive_its_terminal_does() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    // By nohup; and as a job in the background, which nobody tells.
    for (number, command) in [(1, "exec nohup \"$COPY\""), (2, "set -m; \"$COPY\" & exec sleep 1000")] {
        let rogue = InTerminal::start(&world, number, command).await?;
        rogue.terminal.signal(Signal::KILL)?;
        if number == 1 {
            eventually("the terminal has hung up", async || Ok(rogue.log().contains("SIGHUP"))).await?;
        } else {
            let gone = "the terminal is gone and has not stopped this copy";
            eventually("it sees that the terminal is gone", async || Ok(rogue.log().contains(gone))).await?;
        }
        // As logrotate does, much later.
        std::fs::remove_file(&rogue.log)?;
        rogue.signal("-HUP")?;
        eventually("its log is opened again", async || Ok(rogue.log().contains("SIGHUP"))).await?;
        let reply = world.ask(&Rogue::request("default.echo", json!({}))).await?;
        assert_eq!(reply.copy(), number.to_string(), "{reply:?}");
        assert!(!rogue.log().contains("stopping"), "{}", rogue.log());
        rogue.signal("-TERM")?;
        eventually("it has ended", async || Ok(!rogue.lives())).await?;
    }
    world.finish(&[&main]).await?;
    Ok(())
}
