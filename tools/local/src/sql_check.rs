//! The check of the SQL: a function that runs with its owner's rights must not go by the names of
//! its caller (pgspot).
//!
//! Tests look in a database at who owns, alters and makes the objects in the schemas of tpro:
//! `ownership::` and `upgrades::` of pg_tpro in `make test`.

use std::fs;
use std::process::Stdio;

use crate::checkout::Checkout;
use crate::extension_files;
use crate::failure::{Context as _, Outcome};
use crate::place::fed_into;

/// The types of a body that `tpro.request` takes.
const BODIES: [&str; 3] = ["pg_catalog.jsonb", "pg_catalog.json", "pg_catalog.text"];

/// Checks the script of the extension, the upgrades to it, and the template of a service.
pub fn run(checkout: &Checkout) -> Outcome {
    let mut version = checkout.command("pgspot");
    version.arg("--help").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if version.status().is_err() {
        checkout.screen.say("      skipped: pgspot is not installed (pipx install pgspot)");
        return Ok(());
    }
    let unpinned = procedures();
    let release = extension_files::release(checkout)?;
    let script = format!("sql/pg_tpro--{release}.sql");
    pgspot(checkout, &script, &unpinned, &without_guard(&read(checkout, &script)?))?;
    for script in upgrades(checkout, &release)? {
        // It replaces functions in the schema that the extension has made.
        let text = format!("CREATE SCHEMA tpro;\n{}", without_guard(&read(checkout, &script)?));
        pgspot(checkout, &script, &unpinned, &text)?;
    }
    // The template runs in a function that has this search_path.
    let template = with_names(&read(checkout, "sql/service.sql")?);
    let text = format!("SET search_path TO pg_catalog, pg_temp;\n{template}");
    pgspot(checkout, "sql/service.sql", &[], &text)
}

/// The procedures without a search_path of their own. They commit, and so cannot pin it; every name
/// and operator in them is qualified.
fn procedures() -> Vec<String> {
    let mut procedures = vec!["tpro.upgrade_services(patience interval)".to_owned()];
    for body in BODIES {
        let arguments = format!(
            "(service_name pg_catalog.text,entity pg_catalog.text,method_name pg_catalog.text,body {body},\
             headers pg_catalog.jsonb,timeout integer,protocol pg_catalog.text,reply_to pg_catalog.text,\
             sender pg_catalog.text,space_name pg_catalog.text"
        );
        procedures.push(format!("tpro.request{arguments},INOUT reply pg_catalog.jsonb)"));
        // The planner puts the call in their place, which it does not where there are settings.
        if body != "pg_catalog.jsonb" {
            procedures.push(format!("tpro.publish{arguments})"));
        }
    }
    procedures
}

/// The scripts that bring an earlier release to this one.
fn upgrades(checkout: &Checkout, release: &str) -> Outcome<Vec<String>> {
    let end = format!("--{release}.sql");
    let entries = fs::read_dir(checkout.path("sql")).context("reading sql/")?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_upgrade = |name: &String| {
        name.strip_prefix("pg_tpro--")
            .and_then(|rest| rest.strip_suffix(&end))
            .is_some_and(|from| !from.is_empty())
    };
    let mut scripts: Vec<String> = names.filter(is_upgrade).map(|name| format!("sql/{name}")).collect();
    scripts.sort();
    Ok(scripts)
}

fn read(checkout: &Checkout, file: &str) -> Outcome<String> {
    fs::read_to_string(checkout.path(file)).context(format!("reading {file}"))
}

/// The script without the line that keeps psql from running it.
fn without_guard(script: &str) -> String {
    script
        .lines()
        .map(|line| if line.starts_with("\\echo") { "\n".to_owned() } else { format!("{line}\n") })
        .collect()
}

/// The template with names in the place of its marks: `@schema@` is `example_schema`.
fn with_names(template: &str) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('@') {
        text.push_str(before);
        match after.split_once('@').filter(|(name, _)| name.bytes().all(|letter| letter.is_ascii_lowercase()))
        {
            Some((name, behind)) => {
                text.push_str("example_");
                text.push_str(name);
                rest = behind;
            }
            None => {
                text.push('@');
                rest = after;
            }
        }
    }
    text + rest
}

fn pgspot(checkout: &Checkout, script: &str, unpinned: &[String], text: &str) -> Outcome {
    let mut pgspot = checkout.command("pgspot");
    for procedure in unpinned {
        pgspot.args(["--proc-without-search-path", procedure]);
    }
    fed_into(&mut pgspot, text, Stdio::inherit(), &format!("checking {script} by pgspot"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_the_template_become_names_and_other_signs_stay() {
        assert_eq!(with_names("@schema@.t @> '@' @A@ @name@"), "example_schema.t @> '@' @A@ example_name");
        assert_eq!(without_guard("\\echo no\nSELECT 1;\n"), "\nSELECT 1;\n");
        assert!(procedures().iter().all(|procedure| procedure.ends_with(')')));
    }
}
