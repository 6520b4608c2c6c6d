//! The arrows between modules: from a module to each one that it needs, among those with one
//! parent.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::{modules::Module, named};

/// From a module to those it needs, each with the file that shows it.
#[derive(Debug, Default)]
pub struct Arrows(BTreeMap<String, BTreeMap<String, String>>);

/// The arrows between the parts of each module; the crate itself has the empty path.
pub fn by_parent(modules: &[Module]) -> BTreeMap<Vec<String>, Arrows> {
    // A folder without a file of its own is a module, too: its file has the same name.
    let known: HashSet<&[String]> =
        modules.iter().flat_map(|module| (1..=module.path.len()).map(|to| &module.path[..to])).collect();
    let is_module = |path: &[String]| known.contains(path);
    let named: Vec<_> = modules.iter().map(|module| (module, named::paths(module, &is_module))).collect();
    // By parent and name: the part that the name comes from.
    let mut given: HashMap<(&[String], &str), &str> = HashMap::new();
    for (module, paths) in &named {
        for path in paths {
            if let (Some(name), Some(part)) = (&path.gives, path.path.get(module.path.len()))
                && path.path.len() > module.path.len() + 1
            {
                given.insert((&module.path, name), part);
            }
        }
    }
    let mut all: BTreeMap<Vec<String>, Arrows> = BTreeMap::new();
    for (module, paths) in &named {
        for path in paths {
            let common = module.path.iter().zip(&path.path).take_while(|(a, b)| a == b).count();
            let (parent, Some(from), Some(to)) =
                (&module.path[..common], module.path.get(common), path.path.get(common))
            else {
                continue;
            };
            let to = match is_module(&path.path[..=common]) {
                true => to.as_str(),
                false => given.get(&(parent, to.as_str())).copied().unwrap_or(from),
            };
            if to != from {
                let arrows = all.entry(parent.to_vec()).or_default();
                let needs = arrows.0.entry(from.clone()).or_default();
                needs.entry(to.to_owned()).or_insert_with(|| module.path.join("/"));
            }
        }
    }
    all
}

impl Arrows {
    /// A circle for each group of modules that need each other, the shortest one.
    pub fn circles(&self) -> Vec<String> {
        let mut circles = Vec::new();
        let mut seen = BTreeSet::new();
        for first in self.0.keys() {
            if seen.contains(first.as_str()) {
                continue;
            }
            let Some(circle) = self.way_back(first) else { continue };
            seen.extend(
                self.reach(first).into_iter().filter(|other| self.reach(other).contains(first.as_str())),
            );
            let steps = circle.iter().zip(circle.iter().skip(1));
            let why = steps.map(|(a, b)| format!("{a} needs {b} in {}", self.0[*a][*b]));
            circles.push(format!("{} ({})", circle.join(" -> "), why.collect::<Vec<_>>().join(", ")));
        }
        circles
    }

    /// The shortest way from a module back to itself.
    fn way_back<'a>(&'a self, first: &'a str) -> Option<Vec<&'a str>> {
        let mut ways = std::collections::VecDeque::from([vec![first]]);
        let mut seen = HashSet::new();
        while let Some(way) = ways.pop_front() {
            let last = way.last().copied()?;
            for next in self.0.get(last).into_iter().flat_map(BTreeMap::keys) {
                let longer = [&way[..], &[next.as_str()]].concat();
                if next == first {
                    return Some(longer);
                }
                if seen.insert(next.as_str()) {
                    ways.push_back(longer);
                }
            }
        }
        None
    }

    /// All that a module needs, by way of others, too.
    fn reach<'a>(&'a self, first: &'a str) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut next = vec![first];
        while let Some(module) = next.pop() {
            for needed in self.0.get(module).into_iter().flat_map(BTreeMap::keys) {
                if reached.insert(needed.as_str()) {
                    next.push(needed);
                }
            }
        }
        reached
    }
}
