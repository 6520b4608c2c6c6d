//! The names that a crate exports: a service sees them, and no module behind them.

use std::io;

use crate::{
    crates::{self, Crate},
    modules::{self, Module},
    named::{self, words},
};

/// The names that `lib.rs` of a crate exports, in their order, and its problems: another item than
/// a `use`, all names of a module, or a module.
pub fn of(exporting: &Crate) -> io::Result<(Vec<String>, Vec<String>)> {
    let own = modules::read(&exporting.sources())?;
    let mut others = Vec::new();
    for it in crates::all()? {
        others.push((it.name.replace('-', "_"), modules::read(&it.sources())?));
    }
    let (mut names, mut problems) = (Vec::new(), Vec::new());
    let root = own.iter().find(|module| module.path.is_empty());
    let code = root.map_or("", |root| &root.code);
    problems.extend(items(code).map(|item| format!("lib.rs has a public {item}")));
    for path in uses(code) {
        let place = path.path.join("::");
        let Some(name) = path.gives else {
            problems.push(format!("lib.rs exports all names of {place}"));
            continue;
        };
        let other = others.iter().find(|(krate, _)| path.path.first() == Some(krate));
        let is_module = match other {
            Some((_, modules)) => is_module(modules, &path.path[1..]),
            None => is_module(&own, &path.path),
        };
        if is_module {
            problems.push(format!("lib.rs exports the module {place}"));
        }
        names.push(name);
    }
    names.sort();
    // A trait and its derive macro have one name.
    names.dedup();
    Ok((names, problems))
}

/// Public items other than a `use`.
fn items(code: &str) -> impl Iterator<Item = &str> {
    let words = words(code);
    let items: Vec<&str> = words.windows(2).filter(|pair| pair[0] == "pub").map(|pair| pair[1]).collect();
    items.into_iter().filter(|word| !["use", "("].contains(word))
}

/// The paths that are exported by a `use`.
fn uses(code: &str) -> Vec<named::Named> {
    named::exported(&words(code))
}

/// True if a path in a crate leads to a public module, by itself or by another `use`. A function
/// may have the name of a private module.
fn is_module(modules: &[Module], path: &[String]) -> bool {
    // A whole crate is a module, too.
    let Some((name, parent)) = path.split_last() else { return true };
    let Some(parent) = modules.iter().find(|module| module.path == parent) else { return false };
    let words = words(&parent.code);
    if words.windows(3).any(|window| window == ["pub", "mod", name]) {
        return true;
    }
    let given = uses(&parent.code).into_iter().filter(|given| given.gives.as_ref() == Some(name));
    given.map(|given| resolved(parent, &given.path)).any(|path| is_module(modules, &path))
}

/// A path in a module, from the root of the crate.
fn resolved(module: &Module, path: &[String]) -> Vec<String> {
    match path.split_first() {
        Some((first, rest)) if first == "crate" => rest.to_vec(),
        Some((first, rest)) if first == "self" => [&module.path, rest].concat(),
        _ => [&module.path, path].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split("::").map(str::to_owned).collect()
    }

    #[test]
    fn a_module_is_found_behind_its_name() {
        let modules = [
            Module::new("", "pub mod open;\nmod testing;\npub use testing::{test, Test, inner as given};"),
            Module::new("open", "pub struct Name;"),
            Module::new("testing", "mod test;\npub mod inner;\npub use self::test::test;\npub struct Test;"),
            Module::new("testing/test", "pub fn test() {}"),
            Module::new("testing/inner", ""),
        ];
        for module in ["open", "given", "testing::inner"] {
            assert!(is_module(&modules, &path(module)), "{module}");
        }
        for name in ["open::Name", "test", "Test", "testing::test", "unknown"] {
            assert!(!is_module(&modules, &path(name)), "{name}");
        }
        assert!(is_module(&modules, &[]), "the crate itself");
    }

    #[test]
    fn an_item_and_all_names_of_a_module_are_seen() {
        let code = "mod a; pub(crate) fn b() {} pub use c::{D, e::*}; pub mod f; pub static G: u8 = 0;";
        assert_eq!(items(code).collect::<Vec<_>>(), ["mod", "static"]);
        let uses: Vec<_> = uses(code).into_iter().map(|it| (it.path.join("::"), it.gives)).collect();
        assert_eq!(uses, [("c::D".to_owned(), Some("D".to_owned())), ("c::e".to_owned(), None)]);
    }
}
