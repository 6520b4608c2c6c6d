//! The services of the checkout: folders, and the copies that run or have run.
//!
//! A service is a crate in `services/`, or a folder of SQL in `services/sql/`, where cargo looks
//! for no crate.

use std::fs;
use std::path::{Path, PathBuf};

use tpro_wire::{NameError, ServiceName};

use crate::checkout::Checkout;
use crate::env_file::EnvFile;
use crate::failure::{Context as _, Failure, Outcome, fail};
use crate::{port, settings};

/// Folders of services/ that are no service one could run.
const NO_SERVICE: [&str; 2] = ["template", "contracts"];

/// Services that come with the checkout and that not everybody needs. One of them is neither built
/// nor started with all others until it has a `.env`, which `make up-NAME` and `make
/// create-env-NAME` write.
const READY_MADE: [&str; 1] = ["web"];

/// The folder of the services without a crate.
const IN_SQL: &str = "services/sql";

/// The names of all services, main first.
pub fn all(checkout: &Checkout) -> Vec<String> {
    // A folder of another name is no service: the callers print the name and make variables of it.
    let is_service = |name: &String| {
        !NO_SERVICE.contains(&name.as_str())
            && is_name(name)
            && (name == "main" || has_crate(checkout, name) || is_in_sql(checkout, name))
    };
    let mut names: Vec<String> = folders(checkout).into_iter().filter(is_service).collect();
    names.sort_by_key(|name| (name != "main", name.clone()));
    names
}

/// The names of the services that `make up` starts, main first.
pub fn wanted(checkout: &Checkout) -> Vec<String> {
    let unwanted = unwanted(checkout);
    all(checkout).into_iter().filter(|name| !unwanted.contains(&name.as_str())).collect()
}

/// The ready-made services that nobody has asked for.
pub fn unwanted(checkout: &Checkout) -> Vec<&'static str> {
    let has_none = |name: &&str| !env_file(checkout, name).path().is_file();
    READY_MADE.into_iter().filter(has_none).collect()
}

/// True if this service comes with the checkout, and not everybody needs it.
pub fn is_ready_made(name: &str) -> bool {
    READY_MADE.contains(&name)
}

/// True if functions in SQL answer for this service, and there is no crate of it.
pub fn is_in_sql(checkout: &Checkout, name: &str) -> bool {
    !has_crate(checkout, name) && checkout.path(IN_SQL).join(name).is_dir()
}

fn has_crate(checkout: &Checkout, name: &str) -> bool {
    checkout.path("services").join(name).join("Cargo.toml").is_file()
}

/// The folder of a service, seen from the checkout. It may not be there.
pub fn folder(checkout: &Checkout, name: &str) -> PathBuf {
    let parent = if is_in_sql(checkout, name) { IN_SQL } else { "services" };
    Path::new(parent).join(name)
}

/// The folder of a service without a crate, seen from the checkout. It may not be there.
pub fn folder_in_sql(name: &str) -> PathBuf {
    Path::new(IN_SQL).join(name)
}

/// The name of a service's program. Those without a crate have one that is ready-made.
pub fn program(checkout: &Checkout, name: &str) -> String {
    if is_in_sql(checkout, name) { "tpro-service".to_owned() } else { format!("{name}_service") }
}

/// The ports that the services' files give.
pub fn ports(checkout: &Checkout) -> Vec<u16> {
    let given = |name: &String| port::number(&env_file(checkout, name).get("SERVICE_PORT")?);
    folders(checkout).iter().filter_map(given).collect()
}

/// The settings of a service.
pub fn env_file(checkout: &Checkout, name: &str) -> EnvFile {
    EnvFile::at(checkout.path(folder(checkout, name)).join(".env"))
}

/// The copy that the file of a service is for: its COPY_NUMBER, else the first.
pub fn copy_of_file(checkout: &Checkout, name: &str) -> Outcome<u32> {
    env_file(checkout, name)
        .get("COPY_NUMBER")
        .map_or(Ok(1), |value| settings::copy_number(&value).context(format!("services/{name}/.env")))
}

/// Fails if a service cannot have this name.
pub fn must_be_name(name: &str) -> Outcome {
    match ServiceName::parse(name) {
        Ok(_) => Ok(()),
        Err(NameError::Malformed) => Err(Failure::new(format!("'{name}' is no name for a service"))
            .remedy("a small letter, then small letters, digits and _, at most 40 in all")),
        Err(NameError::Reserved) => Err(Failure::new(format!("'{name}' is a reserved name"))
            .remedy("choose another name for the service")),
    }
}

/// Fails if this is no service of the checkout.
pub fn must_be(checkout: &Checkout, name: &str) -> Outcome {
    if NO_SERVICE.contains(&name) {
        return fail(format!(
            "services/{name} is no service that runs; make create-NAME makes one from the template"
        ));
    }
    must_be_name(name)?;
    if has_crate(checkout, name) || is_in_sql(checkout, name) {
        return Ok(());
    }
    let here = all(checkout).join(" ");
    fail(format!("there is no service '{name}' (here are: {here}); make create-{name} makes it"))
}

/// The numbers of the copies that run, or ran until they were stopped.
pub fn known_copies(checkout: &Checkout, name: &str) -> Vec<u32> {
    let states = fs::read_dir(checkout.run_folder()).into_iter().flatten().flatten();
    let number = |file: String| {
        let number = file.strip_prefix(name)?.strip_prefix('-')?.strip_suffix(".state")?;
        number.parse().ok().filter(|_| number.bytes().all(|c| c.is_ascii_digit()))
    };
    let mut copies: Vec<u32> =
        states.filter_map(|state| number(state.file_name().into_string().ok()?)).collect();
    copies.sort_unstable();
    copies
}

/// The copy of COPY_NUMBER, or all that are known. Another command changes these unless the caller
/// holds the lock of the service.
pub fn chosen_copies(checkout: &Checkout, name: &str) -> Outcome<Vec<u32>> {
    Ok(match checkout.settings.copy_number()? {
        Some(number) => vec![number],
        None => known_copies(checkout, name),
    })
}

/// The log of a copy, seen from the checkout.
pub fn log(name: &str, copy: u32) -> String {
    if copy == 1 { format!("logs/{name}_service.log") } else { format!("logs/{name}-{copy}_service.log") }
}

fn folders(checkout: &Checkout) -> Vec<String> {
    let read = |parent| fs::read_dir(checkout.path(parent)).into_iter().flatten().flatten();
    read("services")
        .chain(read(IN_SQL))
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// True for the grammar of a name; it may be reserved.
fn is_name(name: &str) -> bool {
    !matches!(ServiceName::parse(name), Err(NameError::Malformed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn a_ready_made_service_is_wanted_once_it_has_its_settings() -> Outcome {
        let root = std::env::temp_dir().join(format!("tpro-local-services-{}", std::process::id()));
        for name in ["web", "main", "co"] {
            let folder = root.join("services").join(name);
            fs::create_dir_all(&folder).context("a folder")?;
            fs::write(folder.join("Cargo.toml"), "").context("a crate")?;
        }
        let checkout = Checkout::open(root.clone(), Settings::default())?;
        assert_eq!((all(&checkout), wanted(&checkout)), (names("main co web"), names("main co")));
        assert_eq!(unwanted(&checkout), ["web"]);
        fs::write(root.join("services/web/.env"), "").context("its settings")?;
        assert_eq!((wanted(&checkout), unwanted(&checkout).len()), (names("main co web"), 0));
        fs::remove_dir_all(&root).context("removing it")
    }

    fn names(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }
}
