//! The container of PostgreSQL. Its data lie in a volume of the engine.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::names::Names;
use super::{compose, container, engine, image, major, network, private};
use crate::checkout::Checkout;
use crate::failure::{Outcome, fail};
use crate::process::LOOK;
use crate::say::since;
use crate::{port, state};

/// The time that it has to start, a new cluster included.
const PATIENCE: Duration = Duration::from_secs(120);
/// The place of the volume in our image, and in official ones before 18.
const DATA: &str = "/var/lib/postgresql/data";
/// The place in official images from 18 on, which keep each version in a folder below it.
const DATA_FROM_18: &str = "/var/lib/postgresql";

/// Starts it, unless it runs. If `renewed`, it gets an image of the sources as they are.
pub fn up(checkout: &Checkout, renewed: bool) -> Outcome {
    let at = Instant::now();
    let _lock = checkout.lock("postgres")?;
    let name = Names::of(checkout)?.part("postgres");
    container::must_be_ours(checkout, &name)?;
    major::must_not_change(checkout)?;
    let release = major::chosen(checkout)?;
    let tag = image::of_postgres(checkout, renewed)?;
    let last = state::port(checkout, "postgres", "port");
    let running = container::find(checkout, &name).filter(container::Container::runs);
    if let (Some(running), Some(last)) = (running, last) {
        if !renewed || image::id(checkout, &tag).is_some_and(|id| id == running.image) {
            checkout.screen.remark(format!("      postgres  127.0.0.1:{last}, running"));
            return Ok(());
        }
        container::stop(checkout, std::slice::from_ref(&name))?;
    }
    network::need(checkout)?;
    let secret = private::folder(checkout, "postgres")?.join("superuser");
    private::secret_for_any(&secret)?;
    let _ports = checkout.lock("ports")?;
    let port = port::pick("PG_PORT", checkout.settings.get("PG_PORT").as_deref(), "55432", last)?;
    let (shown, secret) = (port.to_string(), secret.display().to_string());
    if major::before(checkout, release).is_some() {
        // Compose would hand its volume on to the new container.
        container::remove(checkout, &name)?;
    }
    let is_official = checkout.settings.get("POSTGRES_IMAGE").is_some();
    let data = if is_official && release.postgres >= 18 { DATA_FROM_18 } else { DATA };
    let names = Names::of(checkout)?;
    let volume = names.volume(release);
    let variables = [
        ("POSTGRES_TAG", &*tag),
        ("PG_PORT", &shown),
        ("POSTGRES_SECRET", &secret),
        ("POSTGRES_VOLUME", &volume),
        ("POSTGRES_DATA", data),
    ];
    compose::up(checkout, &names.project, "docker/parts.yml", "postgres", &variables)?;
    state::put(checkout, "postgres", &[("port", &shown), ("major", &release.postgres.to_string())])?;
    wait(checkout, &name)?;
    checkout
        .screen
        .say(format!("      postgres  127.0.0.1:{port}, container {name}, started in {}", since(at)));
    Ok(())
}

/// Waits until it takes connections. While its cluster is made it listens on its socket only.
fn wait(checkout: &Checkout, name: &str) -> Outcome {
    let until = Instant::now() + PATIENCE;
    let ready = || {
        let host = ["exec", name, "pg_isready", "--quiet", "--host=127.0.0.1"];
        engine::try_ask(checkout, &host).is_some()
    };
    while !ready() {
        let found = container::find(checkout, name);
        let is_well = found.is_some_and(|found| found.runs() && found.restarts == 0);
        if !is_well || Instant::now() > until {
            container::last_words(checkout, name);
            return fail(format!("PostgreSQL did not start: docker logs {name} says why"));
        }
        sleep(LOOK);
    }
    Ok(())
}

/// Stops it; its data stays.
pub fn stop(checkout: &Checkout) -> Outcome {
    stop_part(checkout, "postgres", "")
}

/// Stops the container of a part.
pub fn stop_part(checkout: &Checkout, part: &str, remark: &str) -> Outcome {
    let at = Instant::now();
    let _lock = checkout.lock(part)?;
    let name = Names::of(checkout)?.part(part);
    if !container::find(checkout, &name).is_some_and(|found| found.runs() || found.is_restarting()) {
        checkout.screen.say(format!("      {part:<9} not running"));
        return Ok(());
    }
    container::must_be_ours(checkout, &name)?;
    container::stop(checkout, &[name])?;
    checkout.screen.say(format!("      {part:<9} stopped in {}{remark}", since(at)));
    Ok(())
}
