//! The log, on stdout or in a file.

use std::{fs::File, sync::Mutex};

use tracing_subscriber::EnvFilter;

use crate::settings::Settings;

/// Starts it. `RUST_LOG` says what is logged. A file is added to, and not rotated: there are few
/// lines.
pub fn start(settings: &Settings) -> Result<(), String> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,async_nats=off"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    // There is no other subscriber in this process, so nothing can refuse it.
    let Some(path) = &settings.log_file else {
        let _ = log.try_init();
        return Ok(());
    };
    let file = File::options().create(true).append(true).open(path);
    let file = file.map_err(|error| format!("LOG_FILE_NAME={}: {error}", path.display()))?;
    let _ = log.with_writer(Mutex::new(file)).try_init();
    Ok(())
}
