//! The ports by which others come to a copy.

use std::collections::HashSet;

use tpro_testkit::{Context, Outcome, SidecarProcess, World};

#[tpro_testkit::test]
async fn nobody_comes_to_a_copy_but_by_its_port_for_http() -> Outcome {
    let world = World::new().await?;
    let main = world.run("main").await?;
    assert_eq!(main.get("/readyz").await?.status, 200);
    assert_eq!(ports(&main)?, [main.port()]);
    world.finish(&[&main]).await?;
    Ok(())
}

/// The ports on which a copy listens.
fn ports(copy: &SidecarProcess) -> Outcome<Vec<u16>> {
    let pid = copy.process().pid();
    let mut sockets = HashSet::new();
    for file in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        let name = std::fs::read_link(file?.path())?.to_string_lossy().into_owned();
        sockets
            .extend(name.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')).map(str::to_owned));
    }
    let mut ports = Vec::new();
    for table in ["tcp", "tcp6"] {
        let table = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).context(table)?;
        let listening = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let ours =
            listening.filter(|words| words.len() > 9 && words[3] == "0A" && sockets.contains(words[9]));
        ports.extend(ours.filter_map(|words| u16::from_str_radix(words[1].rsplit(':').next()?, 16).ok()));
    }
    Ok(ports)
}
