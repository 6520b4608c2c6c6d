//! A copy under systemd: a socket of the test is in its place, which speaks the protocol of sd_notify(3).

use std::collections::BTreeSet;

use tokio::net::UnixDatagram;
use tpro_testkit::{Outcome, World, eventually, paths};

/// Where systemd listens.
struct Systemd {
    socket: UnixDatagram,
    path: std::path::PathBuf,
    heard: BTreeSet<String>,
}

impl Systemd {
    fn listen() -> Outcome<Self> {
        let path = paths::run_root()?.join(format!("notify-{}", std::process::id()));
        let _absent = std::fs::remove_file(&path);
        Ok(Self { socket: UnixDatagram::bind(&path)?, path, heard: BTreeSet::new() })
    }

    /// Listens until one of the lines that have come begins so; gives that line.
    async fn hear(&mut self, beginning: &str) -> Outcome<String> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(line) = self.heard.iter().find(|line| line.starts_with(beginning)) {
                return Ok(line.clone());
            }
            let length = self.socket.recv(&mut buffer).await?;
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            self.heard.extend(text.lines().map(str::to_owned));
        }
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        let _absent = std::fs::remove_file(&self.path);
    }
}

#[tpro_testkit::test]
async fn systemd_hears_of_the_start_of_what_is_missing_of_life_and_of_the_end() -> Outcome {
    let world = World::new().await?;
    let mut systemd = Systemd::listen()?;
    world.nats.stop().await?;
    let sidecar = world.sidecar("analytic")?;
    let sidecar = sidecar.env("NOTIFY_SOCKET", systemd.path.display()).env("WATCHDOG_USEC", 10_000_000);
    let copy = world.spawn(sidecar.env("STOP_TIMEOUT", 22))?;
    systemd.hear("STATUS=not ready: ").await?;
    systemd.hear("EXTEND_TIMEOUT_USEC=30000000").await?;
    systemd.hear("WATCHDOG=1").await?;
    eventually("its check names NATS", async || {
        Ok(copy.get("/readyz").await.is_ok_and(|ready| ready.body.contains("nats")))
    })
    .await?;
    assert!(!systemd.heard.contains("READY=1"), "{:?}", systemd.heard);

    world.nats.start().await?;
    systemd.hear("READY=1").await?;
    systemd.hear("STATUS=ready").await?;
    assert!(!systemd.heard.contains("STOPPING=1"), "{:?}", systemd.heard);
    let stopping = async {
        // STOP_TIMEOUT and ten seconds for the last words.
        systemd.hear("STOPPING=1").await?;
        systemd.hear("EXTEND_TIMEOUT_USEC=32000000").await
    };
    let (stopped, heard) = tokio::join!(copy.stop(), stopping);
    stopped?;
    heard?;
    Ok(())
}
