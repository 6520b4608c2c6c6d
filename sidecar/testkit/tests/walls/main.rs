//! The walls of the house: the modules of a crate, and the crates, need each other in one direction only, and a core does no
//! IO.

mod arrows;
mod crates;
mod paths;
mod pure;
mod sources;

use std::{fs, path::PathBuf};

use tpro_testkit::{Context, Outcome, paths::checkout};

use self::arrows::Arrows;

/// Folders whose modules still need each other. None may come to these; one that is mended goes.
const OPEN: &[&str] = &[];

#[test]
fn no_module_needs_one_that_needs_it() -> Outcome {
    let mut circles = Vec::new();
    let mut read = 0;
    for folder in crates()? {
        let name = folder.strip_prefix(checkout()).context("in the checkout")?.display().to_string();
        let modules = sources::read(&folder.join("src"))?;
        read += modules.len();
        for (parent, arrows) in arrows::by_parent(&modules) {
            let place = [vec![format!("{name}/src")], parent].concat().join("/");
            circles.extend(arrows.circles().into_iter().map(|circle| format!("{place}: {circle}")));
        }
    }
    assert!(read > 200, "only {read} modules were read");
    let place = |circle: &String| circle.split(": ").next().unwrap_or_default().to_owned();
    let open: Vec<String> = circles.iter().map(place).collect();
    circles.retain(|circle| !OPEN.contains(&place(circle).as_str()));
    assert!(circles.is_empty(), "modules need each other:\n{}", circles.join("\n"));
    let mended: Vec<_> = OPEN.iter().filter(|place| !open.contains(&(**place).to_owned())).collect();
    assert!(mended.is_empty(), "without circles by now, to be taken off the list: {mended:?}");
    Ok(())
}

#[test]
fn no_crate_needs_one_above_or_beside_it() -> Outcome {
    let mut problems = Vec::new();
    for folder in crates()? {
        problems.extend(crates::problems(&folder)?);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

#[test]
fn a_core_does_no_io_and_knows_no_time() -> Outcome {
    let mut problems = Vec::new();
    for folder in crates()? {
        let name = folder.strip_prefix(checkout()).context("in the checkout")?.display().to_string();
        problems.extend(pure::problems(&folder, &name)?);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let planted =
        sources::Module::new("core/a", "use tokio::time; // async_nats\nfn f() { Instant::now(); }");
    assert_eq!(pure::impurities(&planted), ["core/a has tokio", "core/a has Instant::now"]);
    Ok(())
}

#[test]
fn a_circle_is_found_and_named() {
    let module = |path: &str, source: &str| sources::Module::new(path, source);
    let modules = [
        module("", "mod a; mod b; mod c; pub use c::Item;"),
        module("a", "use crate::{b::{self, Thing as Other}, unknown::Z};"),
        module(
            "b",
            "/// crate::c\nfn f() { let _ = \"crate::a\"; } #[cfg(test)]\nmod tests { use crate::a::X; }",
        ),
        module("c", "use super::a::{X, Y};"),
    ];
    assert_eq!(circles(&modules), Vec::<String>::new());
    let planted = module("b", "fn f() -> crate::Item { crate::Item }");
    let modules = [&modules[..], &[planted]].concat();
    assert_eq!(circles(&modules), ["a -> b -> c -> a (a needs b in a, b needs c in b, c needs a in c)"]);
    // Nested, by the name that the parent gives on.
    let modules = [
        module("", "mod a;"),
        module("a", "mod x; mod y; pub use self::{x::One, y::Two};"),
        module("a/x", "use super::Two;"),
        module("a/y/deep", "use crate::a::x::One;"),
        module("a/y", "mod deep;"),
    ];
    assert_eq!(circles(&modules), ["x -> y -> x (x needs y in a/x, y needs x in a/y/deep)"]);
}

fn circles(modules: &[sources::Module]) -> Vec<String> {
    arrows::by_parent(modules).values().flat_map(Arrows::circles).collect()
}

/// The folders of the workspace's crates.
fn crates() -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![checkout()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().context("an entry has a name")?.to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && !["target", "src", "tests"].contains(&name.as_str())
            {
                folders.push(path);
            }
        }
        if folder.join("Cargo.toml").exists() && folder.join("src").exists() {
            found.push(folder);
        }
    }
    found.sort();
    assert!(found.len() > 10, "{found:?}");
    Ok(found)
}
