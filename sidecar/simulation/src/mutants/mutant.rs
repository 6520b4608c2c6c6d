//! The mutants: which are made, and how they are written into the sources.

use std::{collections::BTreeMap, io};

use tpro_simulation::random::Random;

use super::{
    checkout::Checkout,
    site::{self, Site},
};

/// A mutant.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// Its number.
    pub number: usize,
    /// Its file.
    pub file: String,
    /// Its place.
    pub site: Site,
    /// Its change in words.
    pub shown: String,
}

/// So many mutants of all that could be made, one for a line.
pub fn draw(checkout: &Checkout, count: usize, seed: u64) -> io::Result<(usize, Vec<Mutant>)> {
    let mut all = Vec::new();
    for file in checkout.core()? {
        let text = checkout.read(&file)?;
        let lines: Vec<&str> = text.lines().collect();
        all.extend(site::sites(&text).into_iter().map(|site| {
            let shown = site.shown(lines[site.line]);
            Mutant { number: 0, file: file.clone(), site, shown }
        }));
    }
    let (possible, mut random) = (all.len(), Random::new(seed));
    let mut drawn: Vec<Mutant> = Vec::new();
    while drawn.len() < count && !all.is_empty() {
        let at = random.below(all.len() as u64) as usize;
        let mutant = all.swap_remove(at);
        let is_taken = |of: &Mutant| of.file == mutant.file && of.site.line == mutant.site.line;
        if !drawn.iter().any(is_taken) {
            drawn.push(Mutant { number: drawn.len() + 1, ..mutant });
        }
    }
    Ok((possible, drawn))
}

/// Writes them into the copy, each behind its switch.
pub fn plant(checkout: &Checkout, mutants: &[Mutant]) -> io::Result<()> {
    let mut files: BTreeMap<&str, Vec<&Mutant>> = BTreeMap::new();
    mutants.iter().for_each(|mutant| files.entry(&mutant.file).or_default().push(mutant));
    for (file, mutants) in files {
        let original = std::fs::read_to_string(file)?;
        let mut lines: Vec<String> = original.lines().map(str::to_owned).collect();
        for mutant in mutants {
            let line = &mut lines[mutant.site.line];
            *line = mutant.site.switched(line, mutant.number);
        }
        checkout.write(file, &(lines.join("\n") + "\n"))?;
    }
    Ok(())
}
