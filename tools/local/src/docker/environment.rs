//! The addresses and secrets of what runs in containers, as this machine reaches it.

use std::io::{self, Write as _};
use std::path::PathBuf;

use super::names::Names;
use super::{container, database, private};
use crate::checkout::Checkout;
use crate::environment::{lines, variables_of};
use crate::failure::{Context as _, Outcome};
use crate::{chosen, services};

/// Prints the lines.
pub fn print(checkout: &Checkout) -> Outcome {
    let text = lines(&variables(checkout)?);
    io::stdout().write_all(text.as_bytes()).context("writing to standard output")
}

/// Keeps the lines in a file that our containers can read; its place.
pub fn write(checkout: &Checkout) -> Outcome<PathBuf> {
    let path = private::folder(checkout, "demo")?.join("env");
    private::replace(&path, &lines(&variables(checkout)?))?;
    Ok(path)
}

/// Keeps the lines.
pub fn save(checkout: &Checkout) -> Outcome {
    write(checkout).map(|_| ())
}

/// The names and values.
pub fn variables(checkout: &Checkout) -> Outcome<Vec<(String, String)>> {
    let names = Names::of(checkout)?;
    let of_user = chosen::by_user(checkout, "DATABASE_URL", Some("main"));
    let address = of_user.or_else(|| database::outside(checkout, "main").ok());
    let running = |copy: &str| {
        let (service, number) = copy.rsplit_once('-').unwrap_or((copy, "1"));
        let number = number.parse().unwrap_or(1);
        services::known_copies(checkout, service).contains(&number)
            && container::runs(checkout, &names.copy(service, number))
    };
    variables_of(checkout, address, &running)
}
