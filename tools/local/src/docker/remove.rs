//! `make down-all-NAME` and `make clean`: what was made in the engine goes.

use std::fs;

use tpro_servers::files::remove;

use super::names::Names;
use super::{all, container, engine, postgres, schema, service};
use crate::checkout::Checkout;
use crate::debian::RELEASES;
use crate::down_all::{ask, is_log_of};
use crate::failure::{Context as _, Outcome, fail};
use crate::settings::shortened;
use crate::{services, state};

/// Removes all that was made for a service. Messages that are unsettled are lost only if somebody
/// says so.
pub fn down_all(checkout: &mut Checkout, name: &str) -> Outcome {
    services::must_be(checkout, name)?;
    checkout.settings.remove("COPY_NUMBER");
    if let Some(force) = checkout.settings.get("FORCE").filter(|force| force != "yes") {
        return fail(format!("FORCE={}: say yes, or leave it out", shortened(&force)));
    }
    let has_database = state::is_known(checkout, "postgres");
    if has_database {
        postgres::up(checkout, false)?;
        let unsettled = schema::unsettled(checkout, name)?;
        if unsettled > 0 && !checkout.settings.is_yes("FORCE") {
            ask(name, unsettled)?;
        }
    }
    let _lock = checkout.lock(&format!("service-{name}"))?;
    service::down(checkout, name)?;
    if has_database {
        schema::forget(checkout, name)?;
    }
    let logs = checkout.logs().join("docker");
    for entry in fs::read_dir(logs).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|file| is_log_of(file, name)) {
            remove(&entry.path())?;
        }
    }
    remove(services::env_file(checkout, name).path())?;
    let images = Names::of(checkout)?.service_images(name);
    let ids = engine::try_ask(checkout, &["images", "--quiet", &images]).unwrap_or_default();
    for id in ids.lines() {
        engine::try_ask(checkout, &["image", "rm", "--force", id]);
    }
    checkout.screen.say(format!(
        "      {name}  containers, images, settings, schema, role and logs are removed; its source in services/{name} stays"
    ));
    Ok(())
}

/// Stops everything of this checkout and removes it, the data included. Images stay.
pub fn clean(checkout: &Checkout) -> Outcome {
    all::down(checkout)?;
    let names = Names::of(checkout)?;
    let volumes = RELEASES.map(|release| names.volume(release));
    let is_there = |volume: &&String| engine::try_ask(checkout, &["volume", "inspect", volume]).is_some();
    let volumes: Vec<String> = volumes.iter().filter(is_there).cloned().collect();
    let is_of_others = container::must_be_ours(checkout, &names.part("postgres")).is_err();
    let mut removed = vec!["containers".to_owned()];
    if state::is_known(checkout, "postgres") && !is_of_others {
        for volume in volumes {
            engine::ask(checkout, &["volume", "rm", &volume])?;
            removed.push(format!("volume {volume}"));
        }
    }
    for folder in [checkout.path(".local/docker"), checkout.logs().join("docker")] {
        if folder.exists() {
            fs::remove_dir_all(&folder).context(format!("removing {}", folder.display()))?;
        }
    }
    checkout.screen.say(format!("removed: {}, .local/docker and logs/docker", removed.join(", ")));
    checkout.screen.say("left: images (docker image ls; docker image prune), services/*/.env");
    Ok(())
}
