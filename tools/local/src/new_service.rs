//! `make create-NAME`: a new service, which is services/template under a new name.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome, fail};
use crate::service_settings::{self, Told};
use crate::{cargo, chosen, cluster, extension, schema, services};

/// The name that the template has.
const TEMPLATE: &str = "template";

/// Makes the crate, its settings, and its schema in the local database.
pub fn create(checkout: &Checkout, name: &str) -> Outcome {
    services::must_be_name(name)?;
    make_crate(checkout, name)?;
    checkout.screen.say(format!("      services/{name} made from the template"));
    service_settings::write(checkout, name, Told::No)?;
    if chosen::by_user(checkout, "DATABASE_URL", Some(name)).is_none() {
        cluster::up(checkout)?;
        extension::need(checkout)?;
        schema::make(checkout, name, Told::No)?;
    }
    checkout.screen.say(format!(
        "      make up-{name} runs it; what it answers is in services/{name}/src/handlers_subscribe.rs"
    ));
    Ok(())
}

/// Makes the crate of a new service.
pub fn make_crate(checkout: &Checkout, name: &str) -> Outcome {
    let place = checkout.path("services").join(name);
    let is_there = || fail(format!("services/{name} is there already: make up-{name} runs it"));
    if place.exists() {
        return is_there();
    }
    let _lock = checkout.lock("workspace")?;
    if place.exists() {
        return is_there();
    }
    // Made elsewhere and moved into its place whole: every folder in services/ is in the workspace,
    // and a half one would stop all cargo.
    let draft = checkout.path(".local/create").join(name);
    let _ = fs::remove_dir_all(&draft);
    copy(&checkout.path("services").join(TEMPLATE), &draft, name)?;
    describe(&draft.join("Cargo.toml"), name)?;
    fs::rename(&draft, &place).context(format!("moving the new service to services/{name}"))?;
    // The new package joins Cargo.lock now, so that --locked goes on passing.
    let mut update = cargo::command(checkout)?;
    update.args(["update", "--workspace", "--offline", "--quiet"]).stdin(Stdio::null());
    let output = update.output().context("starting cargo update")?;
    if output.status.success() {
        return Ok(());
    }
    fs::remove_dir_all(&place).context(format!("removing services/{name}"))?;
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    fail(format!("services/{name} could not join the workspace and is taken back"))
}

/// Copies the template with the new name in the place of its own. Its settings stay behind.
fn copy(from: &Path, to: &Path, name: &str) -> Outcome {
    let copying = || format!("copying {}", from.display());
    fs::create_dir_all(to).context(copying())?;
    for entry in fs::read_dir(from).context(copying())?.flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target, name)?;
        } else if entry.file_name() != ".env" {
            let text = fs::read_to_string(&path).context(format!("reading {}", path.display()))?;
            let text = text.replace(TEMPLATE, name).replace("Template", &pascal(name));
            fs::write(&target, text).context(format!("writing {}", target.display()))?;
        }
    }
    Ok(())
}

/// Gives the crate a description of its own.
fn describe(manifest: &Path, name: &str) -> Outcome {
    let text = fs::read_to_string(manifest).context(format!("reading {}", manifest.display()))?;
    let own = format!("description = \"The service `{name}`.\"\n");
    let lines = text.lines().map(|line| match line.starts_with("description = ") {
        true => own.clone(),
        false => format!("{line}\n"),
    });
    fs::write(manifest, lines.collect::<String>()).context(format!("writing {}", manifest.display()))
}

/// The name as a type: `my_shop` is `MyShop`.
fn pascal(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let mut letters = word.chars();
        letters
            .next()
            .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_a_type() {
        assert_eq!(pascal("billing"), "Billing");
        assert_eq!(pascal("my_shop_2"), "MyShop2");
    }
}
