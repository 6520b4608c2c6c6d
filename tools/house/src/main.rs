//! `make crates`: prints the crates with their arrows, and the circles among modules.
//!
//! The exit code is 1 when an arrow points up or a circle is found.

use std::{io, process::ExitCode};

use tpro_house::{
    crates::{self, Crate},
    length,
};

fn main() -> ExitCode {
    match print() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: the sources could not be read: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints it all; returns the number of problems.
fn print() -> io::Result<usize> {
    let mut crates = crates::all()?;
    // From the top of the house down, and then what stands beside it.
    crates.sort_by_key(|it| (it.floor().map_or(1, |floor| -(floor as i64)), it.folder.clone()));
    let width = |of: fn(&Crate) -> &str| crates.iter().map(|it| of(it).len()).max().unwrap_or(0);
    let (names, folders) = (width(|it| &it.name), width(|it| &it.folder));
    println!("Floor  {:names$}  {:folders$}  Needs", "Crate", "Folder");
    for it in &crates {
        let floor = it.floor().map_or("-".to_owned(), |floor| floor.to_string());
        let needs = if it.needs.is_empty() { "-".to_owned() } else { it.needs.join(", ") };
        println!("{floor:<5}  {:names$}  {:folders$}  {needs}", it.name, it.folder);
    }
    let arrows: usize = crates.iter().map(|it| it.needs.len()).sum();
    let up: Vec<String> = crates.iter().flat_map(Crate::problems).collect();
    let (mut count, mut circles) = (0, Vec::new());
    for it in &crates {
        let (modules, found) = it.circles()?;
        count += modules;
        circles.extend(found);
    }
    println!();
    println!(
        "Crates: {}. Arrows between them: {arrows}. Arrows that do not point down: {}",
        crates.len(),
        up.len()
    );
    println!("Modules: {count}. Circles among them: {}", circles.len());
    if let Some((lines, place)) = length::all()?.first() {
        println!("Largest file, its tests not counted: {place} ({lines} lines)");
    }
    for problem in up.iter().chain(&circles) {
        println!("  {problem}");
    }
    Ok(up.len() + circles.len())
}
