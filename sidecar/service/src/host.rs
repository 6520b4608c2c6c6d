//! The ground that handlers run on: the ground of the process, the settings of its service, and the
//! counts.

use std::{ops::Deref, sync::Arc};

use tpro_runtime::{app::App, config::OwnSetting};

use crate::{metrics::Counts, stage::Stage, state::State};

/// The ground of a service that runs. Made once by `boot`, shared by all that serve.
#[derive(Clone)]
pub struct Host {
    /// The ground of the process.
    pub app: App,
    /// The settings that the service declares.
    pub settings: Arc<[OwnSetting]>,
    /// The state of the service.
    pub state: State,
    /// The counts of subscriber, inbox and handlers.
    pub counts: Counts,
    /// In a test without servers: what stands for them.
    pub stage: Option<Arc<Stage>>,
}

impl Host {
    /// A setting of the service's own: as configured, or its declared default. Empty if it was not
    /// declared.
    pub fn setting(&self, key: &str) -> &str {
        let declared = self.settings.iter().find(|setting| setting.key == key);
        self.config.own(key).or(declared.map(|setting| setting.default)).unwrap_or_default()
    }
}

impl Deref for Host {
    type Target = App;

    fn deref(&self) -> &App {
        &self.app
    }
}
