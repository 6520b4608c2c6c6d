//! `make clean`: stops everything of this checkout and removes what it made: .local, the cluster
//! and the logs. Settings (.env) and cargo's target stay.

use std::fs;
use std::path::{Path, PathBuf};

use tpro_servers::files::first_line;

use crate::all;
use crate::cargo::Profile;
use crate::checkout::Checkout;
use crate::failure::{Failure, Outcome};
use crate::place::Place;

/// Stops and removes it.
pub fn run(checkout: &Checkout) -> Outcome {
    all::down(checkout)?;
    let base = Place::of(checkout)?.base;
    let tests = of_tests(checkout);
    let made = [base.clone(), checkout.logs(), checkout.local()];
    for folder in made.iter().chain(&tests) {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(|error| {
                Failure::new(format!("{} could not be removed whole: {error}", folder.display()))
                    .remedy("is a part of it another user's?")
            })?;
        }
    }
    let tests: String = tests.iter().map(|place| format!(", {}", place.display())).collect();
    let screen = &checkout.screen;
    screen.say(format!("removed: {}, .local and logs{tests}", base.display()));
    screen.say(format!(
        "left: target/ ({}; cargo clean removes it), services/*/.env",
        size(checkout).unwrap_or_default()
    ));
    Ok(())
}

/// The tests' own installations of PostgreSQL. They lie where user postgres can go; the tests note
/// where. One goes only if it is of the programs in this target/ and of this checkout: the note may
/// have come along with a copy of the folder.
fn of_tests(checkout: &Checkout) -> Vec<PathBuf> {
    let mut places = Vec::new();
    for profile in [Profile::Debug, Profile::Measured].map(|profile| profile.folder(checkout)) {
        let Some(place) = first_line(&profile.join("testkit.place")).map(PathBuf::from) else { continue };
        if !place.exists() {
            continue;
        }
        let owner = fs::read_to_string(place.join("owner")).unwrap_or_default();
        let mut lines = owner.lines();
        let (programs, maker) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        let is_of_programs = fs::canonicalize(&profile).is_ok_and(|folder| Path::new(programs) == folder);
        if is_of_programs && Path::new(maker) == checkout.root {
            places.push(place);
            continue;
        }
        let of = if maker.is_empty() { String::new() } else { format!(" of {maker}") };
        checkout.screen.say(format!(
            "left: {}, the tests' installation{of}; {}/testkit.place is not of this checkout's tests",
            place.display(),
            profile.display()
        ));
    }
    places
}

/// The size of target/, as `du` says it.
fn size(checkout: &Checkout) -> Option<String> {
    let output = checkout.command("du").arg("-sh").arg("--").arg(checkout.target()).output().ok()?;
    String::from_utf8_lossy(&output.stdout).split_whitespace().next().map(str::to_owned)
}
