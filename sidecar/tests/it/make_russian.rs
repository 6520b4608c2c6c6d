//! Texts that make writes for people, in the language that `LANG` names.

use std::fs;

use tpro_testkit::Outcome;

use crate::make_commands::Checkout;

/// The variables that name a language, and if it is Russian.
const LANGUAGES: [(&[(&str, &str)], bool); 6] = [
    (&[], false),
    (&[("LANG", "en_US.UTF-8")], false),
    (&[("LANG", "ru_RU.UTF-8")], true),
    // The order of POSIX: LC_ALL is before LC_MESSAGES, which is before LANG. An empty one is none.
    (&[("LANG", "ru_RU.UTF-8"), ("LC_ALL", "C.UTF-8")], false),
    (&[("LANG", "en_US.UTF-8"), ("LC_MESSAGES", "ru_RU.UTF-8")], true),
    (&[("LANG", "ru_RU.UTF-8"), ("LC_ALL", "")], true),
];

/// The comments of a file of settings that are in Russian, and those in another language.
fn comments(text: &str) -> (usize, usize) {
    let lines = text.lines().filter(|line| line.starts_with("# "));
    let (russian, other): (Vec<&str>, Vec<&str>) =
        lines.partition(|line| line.chars().any(|c| ('а'..='я').contains(&c)));
    (russian.len(), other.len())
}

#[test]
fn a_new_file_of_settings_speaks_the_language_of_its_user() -> Outcome {
    let checkout = Checkout::new("russian")?;
    let file = checkout.root.join("services/co/.env");
    fs::create_dir_all(checkout.root.join("tools/bridge"))?;
    let of_bridge = checkout.root.join("tools/bridge/.env");
    for (language, is_russian) in LANGUAGES {
        let (well, told) = checkout.call("make", &["create-env-co"], language)?;
        assert!(well, "{language:?}: {told}");
        // It writes the file, and then asks for the NATS of the Go system.
        let (well, told) = checkout.call("make", &["up-bridge"], language)?;
        assert!(!well && told.contains("OLD_NATS_URL is not set"), "{language:?}: {told}");
        for (path, fewest) in [(&file, 20), (&of_bridge, 5)] {
            let text = fs::read_to_string(path)?;
            let (russian, other) = comments(&text);
            let all = if is_russian { russian } else { other };
            assert!(all > fewest, "{language:?}: {russian} Russian comments, {other} others: {text}");
            // A line such as `# HANDLERS_MAX: 256` is the same in each.
            assert!(is_russian || russian == 0, "{language:?}: {text}");
            assert!(!text.contains("@NAME@"), "{language:?}: {text}");
            fs::remove_file(path)?;
        }
        let (well, told) = checkout.call("make", &["help"], language)?;
        assert!(well && told.contains("остановить всё") == is_russian, "{language:?}: {told}");
    }
    Ok(())
}

#[test]
fn a_file_that_is_there_keeps_its_language() -> Outcome {
    let checkout = Checkout::new("kept-language")?;
    let file = checkout.root.join("services/co/.env");
    checkout.well(&["create-env-co"])?;
    let english = fs::read_to_string(&file)?;
    let (well, told) = checkout.call("make", &["create-env-co"], &[("LANG", "ru_RU.UTF-8")])?;
    assert!(well && told.contains("is there already and stays"), "{told}");
    assert_eq!(fs::read_to_string(&file)?, english);
    // One of the Go system keeps its own comments, under a heading in the user's language.
    fs::write(&file, "# mine\nURL_NATS=nats.example.org\n")?;
    let (well, told) = checkout.call("make", &["create-env-co"], &[("LANG", "ru_RU.UTF-8")])?;
    assert!(well, "{told}");
    let text = fs::read_to_string(&file)?;
    assert!(
        text.starts_with("# Переведено из настроек системы на Go") && text.contains("\n# mine\n"),
        "{text}"
    );
    Ok(())
}
