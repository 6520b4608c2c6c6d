//! The walls of the house: crates, and the modules of a crate, need each other in one direction
//! only, and a core does no IO.

use std::{fs, io};

use tpro_house::{
    arrows::{self, Arrows},
    crates::{self, Crate},
    exports, length,
    modules::{self, Module},
    pure,
    source::Source,
};

#[test]
fn no_module_needs_one_that_needs_it() -> io::Result<()> {
    let (mut read, mut circles) = (0, Vec::new());
    for it in crates::all()? {
        let (modules, found) = it.circles()?;
        read += modules;
        circles.extend(found);
    }
    assert!(read > 200, "only {read} modules were read");
    assert!(circles.is_empty(), "modules need each other:\n{}", circles.join("\n"));
    Ok(())
}

#[test]
fn no_crate_needs_one_above_or_beside_it() -> io::Result<()> {
    let crates = crates::all()?;
    assert!(crates.len() > 15, "{crates:?}");
    let problems: Vec<String> = crates.iter().flat_map(Crate::problems).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let on_floors = crates.iter().filter(|it| it.floor().is_some()).count();
    assert!(on_floors >= 12, "only {on_floors} crates stand on floors");
    Ok(())
}

#[test]
fn each_crate_that_is_seldom_run_is_one_of_the_workspace() -> io::Result<()> {
    let manifest = fs::read_to_string(tpro_house::checkout().join("Cargo.toml"))?;
    let listed = manifest.lines().find_map(|line| line.strip_prefix("seldom-run = [")?.strip_suffix(']'));
    let listed: Vec<&str> =
        listed.unwrap_or_default().split(", ").map(|name| name.trim_matches('"')).collect();
    let crates = crates::all()?;
    let unknown: Vec<&&str> =
        listed.iter().filter(|name| crates.iter().all(|it| it.name != **name)).collect();
    assert!(listed.len() > 5 && unknown.is_empty(), "no crates: {unknown:?} of {listed:?}");
    Ok(())
}

/// The names that the authors of services know. Another one is a promise to them.
const FOR_SERVICES: [&str; 34] = [
    "Answer",
    "AnyBody",
    "CallError",
    "Ctx",
    "Failure",
    "Fault",
    "FromSetting",
    "HandlerResult",
    "IntoFault",
    "Method",
    "Next",
    "OnReply",
    "OwnSetting",
    "Publish",
    "QueryError",
    "ReplyCtx",
    "Request",
    "RpcError",
    "Schemas",
    "Secret",
    "Sent",
    "Service",
    "Settings",
    "SqlState",
    "Statements",
    "Status",
    "Test",
    "Tx",
    "debug",
    "error",
    "info",
    "run",
    "test",
    "warn",
];

#[test]
fn a_service_sees_names_of_the_sidecar_and_no_module() -> io::Result<()> {
    let crates = crates::all()?;
    let sidecar = crates.iter().find(|it| it.name == "tpro-sidecar");
    let sidecar = sidecar.ok_or(io::Error::other("there is no tpro-sidecar"))?;
    let (names, problems) = exports::of(sidecar)?;
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(names, FOR_SERVICES);
    Ok(())
}

#[test]
fn a_lock_that_is_held_is_known_in_one_place() -> io::Result<()> {
    let mut known = Vec::new();
    for (_, place) in length::all()? {
        let text = fs::read_to_string(tpro_house::checkout().join(&place))?;
        let code = Source::read(modules::without_tests(&text)).code;
        // The simulated PostgreSQL reports it, and does not judge.
        if code.contains("SqlState::LOCK_NOT_AVAILABLE") && !place.starts_with("sidecar/simulation") {
            known.push(place);
        }
    }
    assert_eq!(known, ["sidecar/runtime/src/db/sqlstate.rs"]);
    Ok(())
}

#[test]
fn what_runs_servers_knows_neither_the_local_installation_nor_the_tests() -> io::Result<()> {
    let crates = crates::all()?;
    let needs = |name: &str| {
        let found = crates.iter().find(|it| it.name == name);
        found.map(|it| it.needs.iter().map(String::as_str).collect::<Vec<_>>()).expect("a crate of this name")
    };
    assert!(needs("tpro-servers").is_empty(), "{:?}", needs("tpro-servers"));
    for (one, other) in [("tpro-testkit", "tpro-local"), ("tpro-local", "tpro-testkit")] {
        assert!(needs(one).contains(&"tpro-servers") && !needs(one).contains(&other), "{one}");
    }
    Ok(())
}

#[test]
fn a_core_does_no_io_and_knows_no_time() -> io::Result<()> {
    let (mut count, mut problems) = (0, Vec::new());
    for it in crates::all()? {
        let (modules, found) = pure::problems(&it)?;
        count += modules;
        problems.extend(found);
    }
    assert!(count > 10, "only {count} modules were read");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let planted = Module::new("core/a", "use tokio::time; // async_nats\nfn f() { Instant::now(); }");
    assert_eq!(pure::impurities(&planted), ["core/a has tokio", "core/a has Instant::now"]);
    Ok(())
}

#[test]
fn a_circle_is_found_and_named() {
    let modules = [
        Module::new("", "mod a; mod b; mod c; pub use c::Item;"),
        Module::new("a", "use crate::{b::{self, Thing as Other}, unknown::Z};"),
        Module::new(
            "b",
            "/// crate::c\nfn f() { let _ = \"crate::a\"; } #[cfg(test)]\nmod tests { use crate::a::X; }",
        ),
        Module::new("c", "use super::a::{X, Y};"),
    ];
    assert_eq!(circles(&modules), Vec::<String>::new());
    // Behind tests that are in a file of their own, too.
    let planted = Module::new("b", "#[cfg(test)]\nmod tests;\nfn f() -> crate::Item { crate::Item }");
    let modules = [&modules[..], &[planted]].concat();
    assert_eq!(circles(&modules), ["a -> b -> c -> a (a needs b in a, b needs c in b, c needs a in c)"]);
    // Nested, by the name that the parent gives on.
    let modules = [
        Module::new("", "mod a;"),
        Module::new("a", "mod x; mod y; pub use self::{x::One, y::Two};"),
        Module::new("a/x", "use super::Two;"),
        Module::new("a/y/deep", "use crate::a::x::One;"),
        Module::new("a/y", "mod deep;"),
    ];
    assert_eq!(circles(&modules), ["x -> y -> x (x needs y in a/x, y needs x in a/y/deep)"]);
}

fn circles(modules: &[Module]) -> Vec<String> {
    arrows::by_parent(modules).values().flat_map(Arrows::circles).collect()
}
