//! `make create-NAME`: a new service, which is services/template under a new name; with `LANG=sql`
//! a folder of SQL instead, without a crate.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome, fail};
use crate::service_settings::{self, Told};
use crate::{cargo, chosen, cluster, extension, schema, services};

/// The name that the template has.
const TEMPLATE: &str = "template";

/// The line of the template's manifest that keeps its test with real servers from running.
const NOT_TESTED: &str = "test = false";

/// The files of a service without a crate: their templates below `make`, and their places.
const IN_SQL: [(&str, &str); 2] =
    [("sql_service/README.md", "README.md"), ("sql_service/example.simple.sql", "sql/example.simple.sql")];

/// Makes the crate or the folder of SQL, its settings, and its schema in the local database.
pub fn create(checkout: &Checkout, name: &str) -> Outcome {
    services::must_be_name(name)?;
    let answers = make(checkout, name)?;
    service_settings::write(checkout, name, Told::No)?;
    if chosen::by_user(checkout, "DATABASE_URL", Some(name)).is_none() {
        cluster::up(checkout)?;
        extension::need(checkout)?;
        schema::make(checkout, name, Told::No)?;
    }
    checkout.screen.say(format!("      make up-{name} runs it; what it answers is in {}", answers.display()));
    Ok(())
}

/// Makes the crate or the folder of SQL. The place of what answers in it, seen from the checkout.
pub fn make(checkout: &Checkout, name: &str) -> Outcome<PathBuf> {
    if is_to_be_in_sql(checkout) {
        return Ok(make_folder(checkout, name)?.join("sql"));
    }
    make_crate(checkout, name)?;
    checkout.screen.say(format!("      services/{name} made from the template"));
    Ok(Path::new("services").join(name).join("src/handlers_subscribe.rs"))
}

/// True for `LANG=sql`. LANG is the locale as well, which is never `sql`: any other value means
/// nothing here.
fn is_to_be_in_sql(checkout: &Checkout) -> bool {
    checkout.settings.get("LANG").as_deref() == Some("sql")
}

/// Makes the folder of a service without a crate.
fn make_folder(checkout: &Checkout, name: &str) -> Outcome<PathBuf> {
    let folder = services::folder_in_sql(name);
    let place = checkout.path(&folder);
    let _lock = checkout.lock("workspace")?;
    for taken in [&folder, &Path::new("services").join(name)] {
        if checkout.path(taken).exists() {
            return fail(format!("{} is there already: make up-{name} runs it", taken.display()));
        }
    }
    let making = || format!("making {}", folder.display());
    fs::create_dir_all(place.join("sql")).context(making())?;
    for (template, file) in IN_SQL {
        let template = checkout.template(template);
        let text = fs::read_to_string(checkout.path(&template)).context(format!("reading {template}"))?;
        fs::write(place.join(file), text.replace("@NAME@", name)).context(making())?;
    }
    checkout.screen.say(format!("      {} made: a service in SQL, without a crate", folder.display()));
    Ok(folder)
}

/// Makes the crate of a new service.
fn make_crate(checkout: &Checkout, name: &str) -> Outcome {
    let place = checkout.path("services").join(name);
    let is_there = || fail(format!("services/{name} is there already: make up-{name} runs it"));
    if services::is_in_sql(checkout, name) {
        let folder = services::folder_in_sql(name);
        return fail(format!("{} is there already: make up-{name} runs it", folder.display()));
    }
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

/// Gives the crate a description of its own, and has its test with real servers run.
fn describe(manifest: &Path, name: &str) -> Outcome {
    let text = fs::read_to_string(manifest).context(format!("reading {}", manifest.display()))?;
    let own = format!("description = \"The service `{name}`.\"\n");
    let lines = text.lines().filter(|line| !line.starts_with(NOT_TESTED));
    let lines = lines.map(|line| match line.starts_with("description = ") {
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
