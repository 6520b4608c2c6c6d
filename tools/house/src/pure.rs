//! Modules that do no IO, read no clock and draw no random numbers.

use std::io;

use crate::{
    crates::Crate,
    modules::{self, Module},
    named::words,
};

/// These modules: the folder of the crate, and the module in it.
const PURE: [(&str, &[&str]); 8] = [
    ("sidecar/dispatcher", &["core"]),
    ("sidecar/dispatcher", &["election", "refusal"]),
    ("sidecar/dispatcher", &["election", "standing"]),
    ("sidecar/dispatcher", &["election", "watch"]),
    ("sidecar/service", &["handler", "settling"]),
    ("sidecar/service", &["inbox", "question"]),
    ("sidecar/service", &["inbox", "run_limit"]),
    ("sidecar/service", &["inbox", "verdict"]),
];
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

/// The number of modules of a crate that must be pure, and their problems.
pub fn problems(of: &Crate) -> io::Result<(usize, Vec<String>)> {
    let (mut count, mut problems) = (0, Vec::new());
    for (_, root) in PURE.iter().filter(|(folder, _)| *folder == of.folder) {
        let modules = modules::read(&of.sources())?;
        let is_inside = |module: &&Module| module.path.iter().take(root.len()).eq(*root);
        for module in modules.iter().filter(is_inside) {
            count += 1;
            problems.extend(impurities(module).into_iter().map(|it| format!("{}: {it}", of.folder)));
        }
    }
    Ok((count, problems))
}

/// The forbidden code of a module.
pub fn impurities(module: &Module) -> Vec<String> {
    let words = words(&module.code);
    let has = |code: &&&[&str]| words.windows(code.len()).any(|window| window == **code);
    let place = module.path.join("/");
    FORBIDDEN.iter().filter(has).map(|code| format!("{place} has {}", code.concat())).collect()
}
