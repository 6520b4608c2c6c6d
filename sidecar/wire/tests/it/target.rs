use std::collections::HashSet;

use proptest::prelude::*;
use tpro_wire::Target;
use tpro_wire::target::TargetError;

use crate::support::{HOSTILE, mutated, name, target, word};

#[test]
fn a_target_has_its_tokens() {
    let target = Target::new("tpro", "analytic", "example", "simple").unwrap();
    assert_eq!(target.subject(), "tpro.analytic.example.simple");
    assert_eq!(target.space(), "tpro");
    assert_eq!(target.service(), "analytic");
    assert_eq!(target.entity(), "example");
    assert_eq!(target.method_name(), "simple");
    assert_eq!(target.method(), "example.simple");
    assert_eq!(target.service_method(), "analytic.example.simple");
    assert_eq!(target.space_service(), "tpro.analytic");
    assert_eq!(target.to_string(), "tpro.analytic.example.simple");
    assert_eq!(format!("{target:?}"), r#"Target("tpro.analytic.example.simple")"#);
}

#[test]
fn nothing_gets_into_a_subject_through_a_token() {
    for text in HOSTILE {
        assert_eq!(Target::new(text, "s", "e", "m"), Err(TargetError::Space), "{text:?}");
        assert_eq!(Target::new("s", text, "e", "m"), Err(TargetError::Service), "{text:?}");
        assert_eq!(Target::new("s", "s", text, "m"), Err(TargetError::Entity), "{text:?}");
        assert_eq!(Target::new("s", "s", "e", text), Err(TargetError::MethodName), "{text:?}");
    }
}

#[test]
fn the_longest_tokens_fit_and_one_more_byte_does_not() {
    let (name, word) = ("a".repeat(40), "B".repeat(100));
    let target = Target::new(&name, &name, &word, &word).unwrap();
    assert_eq!(target.subject().len(), 283);
    assert_eq!(target.method_name(), word);
    assert_eq!(Target::parse(target.subject()), Ok(target));
    assert_eq!(Target::new(&(name.clone() + "a"), &name, &word, &word), Err(TargetError::Space));
    assert_eq!(Target::new(&name, &name, &word, &(word.clone() + "B")), Err(TargetError::MethodName));
}

#[test]
fn a_subject_of_other_than_four_tokens_is_no_target() {
    for subject in ["", "a", "a.b", "a.b.c", "a.b.c.d.e", "...."] {
        assert_eq!(Target::parse(subject), Err(TargetError::Shape), "{subject:?}");
    }
    for subject in ["...", "a.b..d", "a.b.c.", ".b.c.d", "a.b.c.>", "a.*.c.d", "a.b.c.d ", "a.b.c.d\r\n"] {
        assert!(Target::parse(subject).is_err(), "{subject:?}");
    }
}

proptest! {
    #[test]
    fn tokens_come_back(space in name(), service in name(), entity in word(), method_name in word()) {
        let made = Target::new(&space, &service, &entity, &method_name).unwrap();
        let read = Target::parse(made.subject()).unwrap();
        for target in [&made, &read] {
            prop_assert_eq!(target.space(), &space);
            prop_assert_eq!(target.service(), &service);
            prop_assert_eq!(target.entity(), &entity);
            prop_assert_eq!(target.method_name(), &method_name);
            prop_assert_eq!(target.method(), format!("{entity}.{method_name}"));
            prop_assert_eq!(target.service_method(), format!("{service}.{entity}.{method_name}"));
        }
        prop_assert_eq!(HashSet::from([made, read]).len(), 1);
    }

    #[test]
    fn what_is_taken_is_the_subject_itself(bytes in mutated(target().prop_map(|target| target.to_string()))) {
        if let Ok(text) = str::from_utf8(&bytes) && let Ok(target) = Target::parse(text) {
            prop_assert_eq!(target.subject(), text);
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)));
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>()) {
        let _ = Target::parse(&text);
        let _ = Target::new(&text, &text, &text, &text);
    }
}
