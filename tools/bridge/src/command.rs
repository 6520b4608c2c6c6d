//! The command line: `tpro-bridge`, `--check`, `--help`, `--version`.

use std::{process::ExitCode, time::Duration};

use tokio::time::timeout;
use tpro_runtime::{health::Health, shutdown::Stop};

use crate::{
    bridge::Bridge,
    counts::Counts,
    from_new, from_old, http, labels, log, peers,
    settings::{self, Settings},
};

/// The exit code of a configuration that cannot be taken.
const BAD_SETTINGS: u8 = 2;
/// The time that a server has to take the last words.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Does what the arguments ask for.
pub async fn run() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = arguments.first().map(String::as_str);
    match argument {
        Some("--help" | "-h") => {
            print!("{}", settings::help());
            return ExitCode::SUCCESS;
        }
        Some("--version" | "-V") => {
            println!("tpro-bridge {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Some("--check") | None => {}
        Some(_) => {
            eprintln!("tpro-bridge: this argument is not known; see tpro-bridge --help");
            return ExitCode::from(BAD_SETTINGS);
        }
    }
    let settings = match Settings::load() {
        Ok(settings) => settings,
        Err(problems) => {
            eprintln!("{}", problems.join("\n"));
            return ExitCode::from(BAD_SETTINGS);
        }
    };
    if argument == Some("--check") {
        settings.lines().iter().for_each(|line| println!("{line}"));
        return ExitCode::SUCCESS;
    }
    if let Err(problem) = log::start(&settings) {
        eprintln!("{problem}");
        return ExitCode::from(BAD_SETTINGS);
    }
    settings.lines().iter().for_each(|line| tracing::info!("configuration: {line}"));
    match carry(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Carries messages until it is told to stop.
async fn carry(settings: Settings) -> Result<(), String> {
    let (stop, health, counts) = (Stop::default(), Health::default(), Counts::default());
    stop.heed_signals().map_err(|error| format!("signals cannot be heard: {error}"))?;
    health.hold("start", "starting");
    http::start(&settings, &health, &counts).await?;
    let patience = settings.stop_timeout;
    let Some(bridge) = Bridge::connect(settings, &health, &stop, counts).await? else { return Ok(()) };
    // The questions of other copies are heard before anything is taken that they may ask about.
    peers::answer(&bridge).await?;
    from_old::serve(&bridge).await?;
    from_new::serve(&bridge).await?;
    labels::serve(&bridge).await?;
    health.release("start");
    tracing::info!("ready");
    stop.soft.cancelled().await;
    health.hold("stop", "stopping");
    stop.tasks.close();
    tokio::select! {
        done = timeout(patience, stop.tasks.wait()) => {
            if done.is_err() {
                tracing::warn!(held = bridge.counts.held(), "stopping with messages in hand: STOP_TIMEOUT is over");
            }
        }
        () = stop.hard.cancelled() => {}
    }
    for inbox in [&bridge.old, &bridge.new] {
        let _ = timeout(LAST_WORDS, inbox.echo()).await;
    }
    tracing::info!("stopped");
    Ok(())
}
