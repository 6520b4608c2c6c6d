//! The English of the sources: the rules that CONTRIBUTING.md names hold in every file.

use std::{fs, io, path::Path};

use tpro_house::{checkout, crates, english};

/// Places that are still to be gone through. A place that is through goes from this list.
const LATER: [&str; 1] = ["sidecar/simulation/src"];

#[test]
fn comments_and_texts_keep_the_rules() -> io::Result<()> {
    let (mut files, mut found) = (0, Vec::new());
    for it in crates::all()? {
        read(&it.sources(), &mut files, &mut found)?;
    }
    assert!(files > 200, "only {files} files were read");
    assert!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

fn read(folder: &Path, files: &mut usize, found: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let place = path.strip_prefix(checkout()).unwrap_or(&path).display().to_string();
        // This module names the words.
        if LATER.iter().any(|later| place.starts_with(later)) || place == "tools/house/src/english.rs" {
            continue;
        }
        if path.is_dir() {
            read(&path, files, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *files += 1;
            let breaches = english::breaches(&fs::read_to_string(&path)?);
            found.extend(breaches.into_iter().map(|(line, breach)| format!("{place}:{line}: {breach}")));
        }
    }
    Ok(())
}

#[test]
fn scripts_keep_the_rules() -> io::Result<()> {
    let (mut files, mut found) = (0, Vec::new());
    for entry in fs::read_dir(checkout().join("make"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sh") {
            files += 1;
            let name = path.file_name().unwrap_or_default().display().to_string();
            let breaches = english::breaches_of_script(&fs::read_to_string(&path)?);
            found.extend(breaches.into_iter().map(|(line, it)| format!("make/{name}:{line}: {it}")));
        }
    }
    assert!(files > 0, "no script was read");
    assert!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

#[test]
fn a_breach_is_found_with_its_line() {
    let long = format!("// {}", "x".repeat(98));
    for (source, breach) in [
        ("/// What it is.\nstruct A;", (1, "a comment begins with What")),
        ("fn f() {}\n\n// Whether it holds.", (3, "a comment begins with Whether")),
        ("/// It is\n/// made anew.", (2, "a comment has \"anew\"")),
        ("fn f() { say(\"begun\") }", (1, "a text has \"begun\"")),
        ("// In such a case.", (1, "a comment has \"such\"")),
        (long.as_str(), (1, "a comment has 101 columns")),
    ] {
        assert_eq!(english::breaches(source), [(breach.0, breach.1.to_owned())], "{source}");
    }
    assert_eq!(
        english::breaches_of_script("say hello\n  # What it says.\nsay anew"),
        [(2, "a comment begins with What".to_owned()), (3, "a line has \"anew\"".to_owned())]
    );
    for source in [
        "/// It is\n/// What it was.",
        "fn f() { let begun = \"a name, such as main\"; } // a begun_at",
        "fn what() { let _ = r#\"// What \"#; }",
    ] {
        assert_eq!(english::breaches(source), [], "{source}");
    }
}
