//! Modules that do no IO, read no clock and draw no random numbers.

use std::path::Path;

use tpro_testkit::{Context, Outcome};

use crate::{
    paths::words,
    sources::{self, Module},
};

/// The folders of these modules: that of the crate, and the module in it.
const PURE: [(&str, &str); 1] = [("sidecar/dispatcher", "core")];
/// Code that they must not have, as words.
const FORBIDDEN: [&[&str]; 8] = [
    &["tokio"],
    &["tokio_postgres"],
    &["async_nats"],
    &["async"],
    &["Instant", "::", "now"],
    &["SystemTime", "::", "now"],
    &["tpro_runtime", "::", "random"],
    &["getrandom"],
];

/// The problems with the modules of a crate.
pub(crate) fn problems(folder: &Path, name: &str) -> Outcome<Vec<String>> {
    let mut problems = Vec::new();
    for (_, root) in PURE.iter().filter(|(of, _)| *of == name) {
        let modules = sources::read(&folder.join("src"))?;
        let inside: Vec<_> = modules.iter().filter(|module| is_inside(module, root)).collect();
        inside.get(10).context(format!("{name}/src/{root} has modules"))?;
        problems.extend(inside.into_iter().flat_map(impurities).map(|problem| format!("{name}: {problem}")));
    }
    Ok(problems)
}

fn is_inside(module: &Module, root: &str) -> bool {
    module.path.first().is_some_and(|first| first == root)
}

/// The forbidden code of a module.
pub(crate) fn impurities(module: &Module) -> Vec<String> {
    let words = words(&module.code);
    let has = |code: &&&[&str]| words.windows(code.len()).any(|window| window == **code);
    let place = module.path.join("/");
    FORBIDDEN.iter().filter(has).map(|code| format!("{place} has {}", code.concat())).collect()
}
