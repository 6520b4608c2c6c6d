//! `make down-all-NAME`: also removes what was built and made for a service. Its source stays.

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::Stdio;

use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome, fail};
use crate::settings::shortened;
use crate::{cargo, release, schema, service, services};

/// Removes all of it. Messages that are unsettled are lost only if somebody says so.
pub fn run(checkout: &mut Checkout, name: &str) -> Outcome {
    services::must_be(checkout, name)?;
    // It is about the whole service.
    checkout.settings.remove("COPY_NUMBER");
    if let Some(force) = checkout.settings.get("FORCE").filter(|force| force != "yes") {
        return fail(format!("FORCE={}: say yes, or leave it out", shortened(&force)));
    }
    let unsettled = schema::unsettled(checkout, name)?;
    if unsettled > 0 && !checkout.settings.is_yes("FORCE") {
        ask(name, unsettled)?;
    }
    let _lock = checkout.lock(&format!("service-{name}"))?;
    service::down(checkout, name)?;
    schema::forget(checkout, name)?;
    remove_files(checkout, name)?;
    remove_programs(checkout, name)?;
    checkout.screen.say(format!(
        "      {name}  binaries, settings, schema, role and logs are removed; its source in {} stays",
        services::folder(checkout, name).display()
    ));
    Ok(())
}

/// Asks the person if the messages may go.
pub fn ask(name: &str, unsettled: u64) -> Outcome {
    let lost = format!("{unsettled} messages of {name} are unsettled and would be lost");
    if !io::stdin().is_terminal() {
        return fail(format!("{lost}: settle them (make up-{name}), or say FORCE=yes"));
    }
    eprint!("{lost}. Remove them? [y/N] ");
    let _ = io::stderr().flush();
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("reading the answer")?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => fail("nothing is removed"),
    }
}

fn remove_files(checkout: &Checkout, name: &str) -> Outcome {
    for entry in fs::read_dir(checkout.logs()).context("reading logs/")?.flatten() {
        if entry.file_name().to_str().is_some_and(|file| is_log_of(file, name)) {
            remove(&entry.path())?;
        }
    }
    remove(services::env_file(checkout, name).path())?;
    remove(&release::folder(checkout, name))
}

/// True for the logs of a service's copies, also for those that were rotated.
pub fn is_log_of(file: &str, name: &str) -> bool {
    let Some(rest) = file.strip_prefix(name) else { return false };
    let of_copy =
        rest.strip_prefix('-').map(|rest| rest.trim_start_matches(|digit: char| digit.is_ascii_digit()));
    of_copy.filter(|after| after.len() + 1 < rest.len()).unwrap_or(rest).starts_with("_service.log")
}

/// By cargo, and by hand where cargo cannot. A service in SQL has no program of its own.
fn remove_programs(checkout: &Checkout, name: &str) -> Outcome {
    if services::is_in_sql(checkout, name) {
        return Ok(());
    }
    let mut clean = cargo::command(checkout)?;
    clean.args(["clean", "--quiet", "--package", &format!("{name}_service"), "--offline"]);
    clean.stdin(Stdio::null()).stderr(Stdio::null());
    if clean.status().context("starting cargo clean")?.success() {
        return Ok(());
    }
    let built = release::built(checkout, name);
    remove(&built.with_extension("d"))?;
    remove(&built)
}

/// Removes a file or a folder, which may not be there.
fn remove(path: &Path) -> Outcome {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).context(format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logs_of_a_service_are_its_copies_and_no_other_services() {
        for log in ["co_service.log", "co-2_service.log", "co-12_service.log.1.gz", "co_service.log.1"] {
            assert!(is_log_of(log, "co"), "{log}");
        }
        for log in
            ["code_service.log", "co_other_service.log", "co-x_service.log", "co-_service.log", "sql.log"]
        {
            assert!(!is_log_of(log, "co"), "{log}");
        }
    }
}
