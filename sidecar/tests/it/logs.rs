//! The log file of a copy.

use tpro_testkit::{Context, Message, Outcome, World, eventually};

use crate::answerer::Answerer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_file_rotates_by_size_and_keeps_so_many() -> Outcome {
    let world = World::new().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let folder = world.folder().join("logs");
    let main = world
        .start(
            world
                .sidecar("main")?
                .env("LOG_FILE_NAME", folder.join("main_service.log").display())
                .env("LOG_MAX_SIZE_MB", 1)
                .env("LOG_MAX_BACKUPS", 2)
                .env("RUST_LOG", "trace"),
        )
        .await?;
    let files = || -> Outcome<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&folder).context("reading the folder of the logs")? {
            let entry = entry?;
            files.push((entry.file_name().to_string_lossy().into_owned(), entry.metadata()?.len()));
        }
        files.sort();
        Ok(files)
    };
    let request = Message::to("old.thing.ask").protocol("json");
    let mut written = 0;
    eventually("the log was rotated more often than files are kept", async || {
        request.publish_many(&world.main, 200).await?;
        written = main.log().len();
        Ok(written > 5 << 20)
    })
    .await?;
    let files = files()?;
    assert_eq!(files.len(), 3, "{files:?}");
    assert_eq!(files[0].0, "main_service.log");
    assert!(files.iter().all(|(_, size)| *size <= (1 << 20) + (64 << 10)), "{files:?}");
    world.finish(&[&main]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
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
