//! A crash leaves nothing of what was in memory.

use std::fs;
use std::path::PathBuf;

use tpro_testkit::{Context, Outcome, Sidecar, SidecarProcess, Signal, World, paths};

/// The limit that the kernel goes by, as `/proc` has it: soft and hard.
fn limit(copy: &SidecarProcess) -> Outcome<(String, String)> {
    let limits = fs::read_to_string(format!("/proc/{}/limits", copy.process().pid()))?;
    let line =
        limits.lines().find_map(|line| line.strip_prefix("Max core file size")).context("no such limit")?;
    let mut words = line.split_whitespace().map(str::to_owned);
    Ok((words.next().context("no soft limit")?, words.next().context("no hard limit")?))
}

/// Which memory would be dumped. None where the kernel makes no dumps at all.
fn filter(copy: &SidecarProcess) -> Option<u32> {
    let bits = fs::read_to_string(format!("/proc/{}/coredump_filter", copy.process().pid())).ok()?;
    u32::from_str_radix(bits.trim(), 16).ok()
}

/// A copy of `main` that is given dumps as large as they may be.
fn generous(world: &World) -> Outcome<Sidecar> {
    let program = paths::binary("main_service", "main_service")?;
    let shell = world.sidecar_of("main", PathBuf::from("/bin/sh"));
    Ok(shell.arg("-c").arg(r#"ulimit -c "$(ulimit -H -c)"; exec "$0""#).arg(&program.to_string_lossy()))
}

/// What is in the world's folder, where its copies run.
fn files(world: &World) -> Outcome<Vec<PathBuf>> {
    fs::read_dir(world.folder())?.map(|entry| Ok(entry?.path())).collect()
}

#[tpro_testkit::test]
async fn a_copy_that_crashes_leaves_no_dump() -> Outcome {
    let world = World::new().await?;
    let main = world.start(generous(&world)?).await?;
    assert_eq!(limit(&main)?.0, "0");
    assert!(filter(&main).is_none_or(|bits| bits == 0), "{:?}", filter(&main));
    // /proc stays readable to the user it belongs to: make and monitoring look there.
    assert!(fs::read_link(format!("/proc/{}/exe", main.process().pid())).is_ok());
    let before = files(&world)?;
    main.signal(Signal::ABORT)?;
    assert!(!main.wait().await?.success());
    let new: Vec<_> = files(&world)?.into_iter().filter(|file| !before.contains(file)).collect();
    assert_eq!(new, [] as [PathBuf; 0]);
    world.finish(&[]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn who_wants_dumps_has_them_as_large_as_they_may_be() -> Outcome {
    let world = World::new().await?;
    let main = world.start(generous(&world)?.env("CORE_DUMPS", "yes")).await?;
    let (soft, hard) = limit(&main)?;
    assert_eq!(soft, hard);
    assert!(filter(&main).is_none_or(|bits| bits != 0), "{:?}", filter(&main));
    main.stop().await?;
    world.finish(&[]).await?;
    Ok(())
}
