//! Log lines that nobody takes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use serde_json::json;
use tpro_testkit::{Context, Outcome, SidecarProcess, World, eventually, paths};

use crate::rogue::Rogue;

#[tpro_testkit::test]
async fn a_log_file_that_cannot_be_written_is_said_once_counted_and_no_reason_not_to_work() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let folder = world.folder().to_path_buf();
    // Its folder cannot be made; and its disk is full.
    fs::write(folder.join("file"), "a file where the folder should be")?;
    symlink("/dev/full", folder.join("full.log"))?;
    for (number, file) in [(1, folder.join("file/rogue.log")), (2, folder.join("full.log"))] {
        let rogue = world.start(Rogue::copy(&world, number)?.env("LOG_FILE_NAME", file.display())).await?;
        Rogue::request("default.internal", json!({})).publish_many(&world.main, 100).await?;
        world.recon().await?;
        works_on(&world, &rogue, "file").await?;
        rogue.stop().await?;
    }
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn an_output_that_nobody_reads_is_said_once_counted_and_no_reason_not_to_work() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    // A pipe that is open at both ends, so that it is never closed, and never read.
    let (pipe, script) = (world.folder().join("pipe"), world.folder().join("rogue.sh"));
    let made = Command::new("mkfifo").arg(&pipe).status().context("running mkfifo")?;
    assert!(made.success());
    let program = paths::rogue()?;
    fs::write(
        &script,
        format!("#!/bin/sh\nexec 3<>'{}'\nexec '{}' >&3\n", pipe.display(), program.display()),
    )?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let rogue = world.start(world.sidecar_of("rogue", script)).await?;

    // More than the pipe and the queue before it hold: in all about 8,000 lines.
    Rogue::request("default.internal", json!({"bytes": 200}))
        .timeout(60)
        .publish_many(&world.main, 10_000)
        .await?;
    world.recon().await?;
    assert!(world.replies("main").await?.iter().all(|reply| reply.code() == -32603));
    works_on(&world, &rogue, "stdout").await?;
    rogue.stop().await?;
    world.finish(&[&main]).await?;
    Ok(())
}

/// What is lost is counted and said once, and everything else goes on.
async fn works_on(world: &World, rogue: &SidecarProcess, sink: &str) -> Outcome {
    let lost = format!(r#"reason="{sink}""#);
    eventually("lost lines are counted", async || {
        Ok(rogue.metric_of("tpro_log_lines_dropped_total", &lost).await? > 0.0)
    })
    .await?;
    let line = format!("log lines to {sink} are dropped and counted");
    eventually("it is said", async || Ok(rogue.log().contains(&line))).await?;
    assert_eq!(rogue.log().matches(&line).count(), 1, "{}", rogue.log());
    assert_eq!(rogue.get("/readyz").await?.status, 200);
    world.ask(&Rogue::request("default.echo", json!({}))).await?.ok()?;
    Ok(())
}
