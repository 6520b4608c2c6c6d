//! The log file of a copy.

use serde_json::json;
use tpro_testkit::{Context, Outcome, Signal, World, eventually};

use crate::rogue::Rogue;

#[tpro_testkit::test]
async fn the_log_file_rotates_by_size_and_keeps_so_many() -> Outcome {
    let world = Rogue::world().await?;
    let folder = world.folder().join("logs");
    let main = world.run("main").await?;
    let rogue = Rogue::copy(&world, 1)?
        .env("LOG_FILE_NAME", folder.join("rogue_service.log").display())
        .env("LOG_MAX_SIZE_MB", 1)
        .env("LOG_MAX_BACKUPS", 2);
    let rogue = world.start(rogue).await?;

    // Five megabytes, in lines of ten kilobytes.
    Rogue::request("default.internal", json!({"bytes": 10_000})).publish_many(&world.main, 500).await?;
    world.recon().await?;
    rogue.stop().await?;

    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).context("reading the folder of the logs")? {
        let entry = entry?;
        files.push((entry.file_name().to_string_lossy().into_owned(), entry.metadata()?.len()));
    }
    files.sort();
    assert_eq!(files.len(), 3, "the file and two that were put aside: {files:?}");
    assert_eq!(files[0].0, "rogue_service.log");
    assert!(files.iter().all(|(_, size)| *size <= (1 << 20) + (64 << 10)), "{files:?}");
    assert!(rogue.log().len() > 5_000_000, "the output has all lines");
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_start_is_told_step_by_step_and_secrets_are_starred() -> Outcome {
    let world = World::new().await?;
    let main = world.start(world.sidecar("main")?.env("LOG_FORMAT", "json")).await?;
    eventually("the health checks are told", async || {
        let log = main.log();
        Ok(log.contains("NATS health-check OK") && log.contains("jaeger health-check OK"))
    })
    .await?;
    let log = main.log();
    for line in log.lines().filter(|line| line.starts_with('{')) {
        serde_json::from_str::<serde_json::Value>(line).context("a line of the log is no JSON")?;
    }
    assert!(log.contains("***"), "the configuration is printed with its secrets starred");
    assert!(!log.contains(world.nats.token()));
    assert!(!log.contains(world.database.cluster().role_password()));
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_log_file_that_is_moved_or_removed_is_opened_again_and_sighup_stops_nobody() -> Outcome {
    let world = Rogue::world().await?;
    let folder = world.folder().join("logs");
    let path = folder.join("rogue_service.log");
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?.env("LOG_FILE_NAME", path.display())).await?;
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    let failed = "the handler failed";
    let complain = async || world.ask(&Rogue::request("default.internal", json!({}))).await;
    complain().await?;
    eventually("it is in the file", async || Ok(read("rogue_service.log").contains(failed))).await?;

    // Moved, without a word to the service.
    std::fs::rename(&path, folder.join("moved"))?;
    complain().await?;
    eventually("the next line is in a new file", async || Ok(read("rogue_service.log").contains(failed)))
        .await?;
    assert!(!read("rogue_service.log").contains("is up") && read("moved").contains("is up"));

    // Removed, and said so.
    std::fs::remove_file(&path)?;
    rogue.signal(Signal::HUP)?;
    eventually("there is a new file", async || Ok(read("rogue_service.log").contains("SIGHUP"))).await?;
    assert_eq!(rogue.get("/readyz").await?.status, 200);
    complain().await?;
    eventually("it goes on in it", async || Ok(read("rogue_service.log").contains(failed))).await?;
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}
