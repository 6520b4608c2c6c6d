use proptest::prelude::*;
use tpro_wire::ServiceName;
use tpro_wire::name::NameError;

use crate::support::{HOSTILE, name};

#[test]
fn a_name_gives_schema_queue_group_and_channel() {
    let main = ServiceName::parse("main").unwrap();
    assert_eq!(main.as_str(), "main");
    assert_eq!(main.schema(), "main_service");
    assert_eq!(main.queue_group(), "main-queue");
    assert_eq!(main.channel(), "published_in_main_service");
    assert_eq!(main.old_channel(), "task_for_main_service");
    assert_eq!(format!("[{main:>6}]"), "[  main]");
}

#[test]
fn reserved_names_are_refused_as_such() {
    let patterns = include_str!("../../src/reserved.txt").lines();
    let patterns: Vec<&str> = patterns.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert!(patterns.len() > 20, "{patterns:?}");
    let words = patterns.iter().map(|pattern| pattern.replace('*', "x"));
    let roles =
        ["pg_catalog", "tpro_owner", "tpro_reader", "main_maintainer", "main_publisher", "main_sidecar"];
    for text in words.chain(roles.map(str::to_owned)) {
        assert_eq!(ServiceName::parse(&text), Err(NameError::Reserved), "{text}");
    }
    for text in ["pgbouncer", "publisher", "tproxy", "maintainer", "allies", "sidecars"] {
        assert!(ServiceName::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn hostile_names_are_malformed() {
    for text in
        HOSTILE.iter().copied().chain(["Main", "1main", "_main", "ma-in", "main ", " main", &"a".repeat(41)])
    {
        assert_eq!(ServiceName::parse(text), Err(NameError::Malformed), "{text:?}");
    }
    assert!(ServiceName::parse(&"a".repeat(40)).is_ok());
}

#[test]
fn what_a_name_makes_fits_into_an_identifier_of_postgresql() {
    const IDENTIFIER: usize = 63;
    let longest = ServiceName::parse(&"x".repeat(40)).unwrap();
    assert!(longest.schema().len() <= IDENTIFIER);
    assert!(longest.channel().len() <= IDENTIFIER);
    assert!(format!("{longest}_publisher").len() <= IDENTIFIER);
}

proptest! {
    #[test]
    fn a_name_by_the_grammar_is_taken_or_reserved(text in name()) {
        match ServiceName::parse(&text) {
            Ok(name) => prop_assert_eq!(name.to_string().parse(), Ok(name)),
            Err(error) => prop_assert_eq!(error, NameError::Reserved),
        }
    }

    #[test]
    fn any_text_is_judged_by_the_pattern(text in any::<String>()) {
        let first = text.chars().next().is_some_and(|c| c.is_ascii_lowercase());
        let rest = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let expected = first && rest && text.len() <= 40;
        prop_assert_eq!(ServiceName::parse(&text) != Err(NameError::Malformed), expected);
    }
}
