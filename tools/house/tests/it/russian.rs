//! Errors in Russian: each text that tpro answers a caller with has a Russian one in
//! `sidecar/wire/src/russian.txt`, and each text there is one that some source makes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use tpro_house::{checkout, source::Source};

/// The folders of the sources that answer callers.
const PLACES: [&str; 4] =
    ["sidecar/wire/src", "sidecar/dispatcher/src", "sidecar/service/src", "tools/bridge/src"];
/// Code of a file that makes errors for callers.
const MAKERS: [&str; 7] = [
    "RpcError::new(",
    "Outcome::error(",
    "Self::failed(",
    "Fault::field(",
    "go::error(",
    "enum NotAnswer",
    "enum TargetError",
];
/// Files and folders that only tests need: of tpro itself, and of its services.
const OF_TESTS: [&str; 3] = ["tests", "testing", "stage"];
/// Texts of these files that no caller reads, or that are a name or a part of another text.
const OTHERS: [&str; 22] = [
    // serde's, which are looked for.
    " at line ",
    "missing field ",
    "duplicate field ",
    "unknown field ",
    "invalid type: ",
    "invalid value: ",
    "invalid length ",
    "unknown variant ",
    ", expected ",
    // A passing state, and what the log or the trace says.
    "{}, code {}",
    "code {}",
    "took more than {} s and was stopped",
    "was stopped with the process",
    "stopped with the process",
    "last retry counted twice",
    "dropped: this is no answer of the Go system",
    "dropped: this is no request of the Go system",
    "no error object",
    // The error that came is passed on, and not this text.
    "the service has answered with error {}",
    "the reply is no answer",
    // An error of the Go system, as it is.
    "wrong handler",
    // Made of two parts in the file.
    "the body does not fit",
];

/// A text of a source, in one line, with `{}` for each value.
fn plain(text: &str) -> String {
    let mut lines = text.split("\\\n");
    let mut joined = lines.next().unwrap_or_default().to_owned();
    lines.for_each(|line| joined.push_str(line.trim_start()));
    let joined = joined.replace("\\\"", "\"");
    // `{{` is a brace, and `{name}` a value.
    let mut plain = String::new();
    let mut rest = joined.as_str();
    while let Some(at) = rest.find(['{', '}']) {
        plain.push_str(&rest[..at]);
        let place = &rest[at..];
        let (sign, length) = match place.find('}') {
            _ if place.starts_with("{{") => ("{", 2),
            _ if place.starts_with("}}") => ("}", 2),
            Some(end) if place.starts_with('{') => ("{}", end + 1),
            _ => (&place[..1], 1),
        };
        plain.push_str(sign);
        rest = &place[length..];
    }
    plain.push_str(rest);
    plain
}

/// The texts of a source without its tests and its log lines, each with its line.
fn texts(text: &str) -> Vec<(usize, String)> {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut from = 0;
    let mut found = Vec::new();
    for (line, string) in Source::read(text).strings {
        let at = text[from..].find(&format!("\"{string}\"")).map_or(from, |at| from + at);
        let is_logged = text[..at].rfind("tracing::").is_some_and(|log| !text[log..at].contains(");"));
        // Its reader is the compiler, or who reads a panic.
        let is_of_authors = ["must_use = ", ".expect(", "panic!("].iter().any(|it| text[..at].ends_with(it));
        from = at;
        if !is_logged && !is_of_authors && string.contains(' ') {
            found.push((line, plain(&string)));
        }
    }
    found
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // Code that tests run on answers no caller.
        let is_of_tests = path.file_stem().is_some_and(|stem| OF_TESTS.iter().any(|it| stem == *it));
        if is_of_tests {
            continue;
        }
        if path.is_dir() {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

/// The English texts of the file: whole ones, and parts.
fn phrases() -> io::Result<(BTreeSet<String>, BTreeSet<String>)> {
    let file = fs::read_to_string(checkout().join("sidecar/wire/src/russian.txt"))?;
    let lines: Vec<&str> = file.lines().filter(|it| !it.is_empty() && !it.starts_with('#')).collect();
    let is_russian = |text: &str| text.chars().any(|c| ('а'..='я').contains(&c));
    let (mut whole, mut parts) = (BTreeSet::new(), BTreeSet::new());
    for pair in lines.chunks(2) {
        let [english, russian] = pair else { panic!("{pair:?} is no pair") };
        assert!(!is_russian(english), "{english}: a text in English comes first");
        let part = english.strip_prefix("- ");
        assert!(part.is_some() || is_russian(russian), "{english}: {russian}");
        assert!(!russian.starts_with("- "), "{english}: {russian}");
        // Each value has its place.
        let values = english.matches("{}").count();
        for number in 1..=values {
            let places = [format!("{{{number}}}"), format!("<{number}>"), format!("[{number}]")];
            assert!(places.iter().any(|it| russian.contains(it)), "{english}: {russian} lacks {places:?}");
        }
        let is_new = match part {
            Some(part) => parts.insert(part.to_owned()),
            None => whole.insert((*english).to_owned()),
        };
        assert!(is_new, "{english} comes twice");
    }
    Ok((whole, parts))
}

#[test]
fn each_text_for_a_caller_has_a_russian_one() -> io::Result<()> {
    let (whole, parts) = phrases()?;
    assert!(whole.len() > 50 && parts.len() > 10, "{whole:?} {parts:?}");
    let mut files = Vec::new();
    PLACES.iter().try_for_each(|place| sources(&checkout().join(place), &mut files))?;
    let (mut makers, mut made, mut missing) = (0, BTreeSet::new(), Vec::new());
    for path in files {
        let text = fs::read_to_string(&path)?;
        // An example in a comment makes no errors.
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        let is_maker = text.lines().filter(is_code).any(|line| MAKERS.iter().any(|code| line.contains(code)));
        makers += usize::from(is_maker);
        for (line, text) in texts(&text) {
            let has = whole.contains(&text)
                || parts.contains(&text)
                // A text that is put behind another one.
                || parts.contains(&format!("{{}}{text}"))
                || OTHERS.contains(&text.as_str());
            if is_maker && !has {
                missing.push(format!("{}:{line}: {text:?}", path.display()));
            }
            made.insert(text);
        }
    }
    assert!(makers > 10, "{makers} files make errors");
    assert!(
        missing.is_empty(),
        "add them to sidecar/wire/src/russian.txt, or to OTHERS if no caller reads them:\n{}",
        missing.join("\n")
    );
    let stale: Vec<_> = whole.difference(&made).collect();
    assert!(stale.is_empty(), "no source makes these texts: {stale:#?}");
    Ok(())
}

#[test]
fn a_text_is_read_as_the_caller_reads_it() {
    let text = r#"fn f() { let a = "a \
        b {c:?} {{2}}"; tracing::warn!(x = 1, "lost it; gone {}", y); g("d e"); }
#[cfg(test)] mod tests { const C: &str = "f g"; }"#;
    assert_eq!(texts(text), [(1, "a b {} {2}".to_owned()), (2, "d e".to_owned())]);
}
