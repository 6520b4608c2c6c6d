//! The paths in a piece of code: `crate::a::{b, c::D as E}` is two.

use crate::modules::Module;

/// A path from the root of the crate.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) path: Vec<String>,
    /// The name under which a `use` of the module's own parts gives it on.
    pub(crate) gives: Option<String>,
}

/// The paths in the code of a module that begin with `crate`, `super` or `self`, and those of a
/// `use` that begin with one of its own parts.
pub(crate) fn paths(module: &Module, is_module: &dyn Fn(&[String]) -> bool) -> Vec<Named> {
    let words = words(&module.code);
    let mut found = Vec::new();
    for at in 0..words.len() {
        let is_use = at > 0 && words[at - 1] == "use";
        let inside = at > 0 && words[at - 1] == "::";
        let own = || [&module.path[..], &[words[at].to_owned()]].concat();
        let mut base = match words[at] {
            _ if inside => continue,
            "crate" => Vec::new(),
            "super" => module.path[..module.path.len().saturating_sub(1)].to_vec(),
            "self" => module.path.clone(),
            _ if is_use && is_module(&own()) => own(),
            _ => continue,
        };
        let mut next = at + 1;
        while words.get(next) == Some(&"::") && words.get(next + 1) == Some(&"super") {
            base.pop();
            next += 2;
        }
        if words.get(next) == Some(&"::") {
            let is_own = is_use && base.starts_with(&module.path);
            tree(&words, next + 1, &base, is_own, &mut found);
        }
    }
    found
}

/// The paths of each `pub use`, with the names that it gives; none for all names of a module.
pub(crate) fn exported(words: &[&str]) -> Vec<Named> {
    let mut found = Vec::new();
    for at in 0..words.len() {
        if words[at..].starts_with(&["pub", "use"]) {
            tree(words, at + 2, &[], true, &mut found);
        }
    }
    found
}

/// Reads what stands behind `::`; returns where it ends.
fn tree(words: &[&str], at: usize, base: &[String], is_own: bool, found: &mut Vec<Named>) -> usize {
    let mut at = at;
    if words.get(at) == Some(&"{") {
        at += 1;
        while at < words.len() && words[at] != "}" {
            at = tree(words, at, base, is_own, found);
            at += usize::from(words.get(at) == Some(&","));
        }
        return at + 1;
    }
    let Some(word) = words.get(at).filter(|word| is_name(word)) else {
        found.push(Named { path: base.to_vec(), gives: None });
        return at + 1;
    };
    let path = if *word == "self" { base.to_vec() } else { [base, &[(*word).to_owned()]].concat() };
    if words.get(at + 1) == Some(&"::") {
        return tree(words, at + 2, &path, is_own, found);
    }
    let alias = (words.get(at + 1) == Some(&"as")).then(|| words.get(at + 2)).flatten();
    let end = if alias.is_some() { at + 3 } else { at + 1 };
    let gives = is_own.then(|| (*alias.unwrap_or(word)).to_owned());
    found.push(Named { path, gives });
    end
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names, `::`, and single characters.
pub(crate) fn words(code: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            c if c.is_alphanumeric() || c == '_' => {
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
            }
            ':' if rest.starts_with("::") => 2,
            c => c.len_utf8(),
        };
        words.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    words
}
