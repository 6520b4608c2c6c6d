//! A world of tpro, a server of the Go system, and bridges between them.

use std::sync::Arc;
use std::time::Duration;

use tpro_testkit::{Nats, Outcome, Sidecar, SidecarProcess, World, paths};

/// Longer than any wait of the kit.
pub const PATIENCE: Duration = Duration::from_secs(80);

/// A world, and the NATS of the Go system beside it.
pub struct Bridged {
    pub world: World,
    pub old: Nats,
}

impl Bridged {
    pub async fn new() -> Outcome<Bridged> {
        Ok(Bridged { world: World::demo().await?, old: Nats::new().await? })
    }

    /// A bridge to be started, with these services on the two sides.
    pub fn bridge(&self, copy: u32, old: &str, new: &str) -> Outcome<Sidecar> {
        let program = paths::binary("tpro-bridge", "tpro-bridge")?;
        Ok(Sidecar::new("bridge", program, self.world.folder())
            .copy(copy)
            .env("OLD_NATS_URL", self.old.url())
            .env("OLD_NATS_TOKEN", self.old.token())
            .env("NATS_URL", self.world.nats.url())
            .env("NATS_TOKEN", self.world.nats.token())
            .env("OLD_BUDGET", 80)
            .env("OLD_SERVICES", old)
            .env("NEW_SERVICES", new))
    }

    /// Starts a bridge.
    pub async fn run(&self, copy: u32, old: &str, new: &str) -> Outcome<Arc<SidecarProcess>> {
        self.world.start(self.bridge(copy, old, new)?).await
    }
}
