//! The bridge: both connections, and all that its tasks share.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tpro_runtime::{health::Health, shutdown::Stop};

use crate::{counts::Counts, flights::Flights, inbox::Inbox, settings::Settings, side};

/// Messages that are carried at once.
const IN_HAND: usize = 4096;
/// Messages that are carried or wait for room. Beyond it the next ones wait in the subscription.
const WAITING: usize = 65_536;

/// A running bridge, shared by every task.
pub struct Bridge {
    /// The settings.
    pub settings: Settings,
    /// The Go system's server, and the replies that come from there.
    pub old: Arc<Inbox>,
    /// The server of tpro, and the replies that come from there.
    pub new: Arc<Inbox>,
    /// The requests of tpro that a Go service is asked for, or was a moment ago.
    pub flights: Flights,
    /// The counts.
    pub counts: Counts,
    /// The room for messages that are carried.
    pub room: Arc<Semaphore>,
    /// The room for these and for those that wait.
    pub waiting: Arc<Semaphore>,
    /// The tokens and the task tracker of this process.
    pub stop: Stop,
}

impl Bridge {
    /// Connects to both servers, for as long as it takes. `None` when it is told to stop meanwhile.
    pub async fn connect(
        settings: Settings,
        health: &Health,
        stop: &Stop,
        counts: Counts,
    ) -> Result<Option<Arc<Self>>, String> {
        let connecting = async {
            let old = side::connect(&settings.old, &settings, health);
            let new = side::connect(&settings.new, &settings, health);
            let (old, new) = tokio::try_join!(old, new)?;
            tokio::try_join!(Inbox::open(old), Inbox::open(new))
        };
        let (old, new) = tokio::select! {
            () = stop.soft.cancelled() => return Ok(None),
            connected = connecting => connected?,
        };
        let (room, waiting) = (Arc::new(Semaphore::new(IN_HAND)), Arc::new(Semaphore::new(WAITING)));
        let (flights, stop) = (Flights::default(), stop.clone());
        Ok(Some(Arc::new(Self { settings, old, new, flights, counts, room, waiting, stop })))
    }
}
