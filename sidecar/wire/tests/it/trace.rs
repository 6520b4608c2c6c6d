use proptest::prelude::*;
use tpro_wire::TraceParent;
use tpro_wire::trace::{parent_in_tracestate, tracestate_with_parent, tracestate_without_parent};
use tpro_wire::tracestate;

use crate::support::{mutated, traceparent};

const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn the_example_of_the_specification_is_read() {
    let parsed: TraceParent = EXAMPLE.parse().unwrap();
    assert_eq!(parsed.trace_id_hex(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(parsed.span_id_hex(), "00f067aa0ba902b7");
    assert!(parsed.sampled());
    assert_eq!(parsed.to_string(), EXAMPLE);
    assert_eq!(TraceParent::read(EXAMPLE), Some(parsed));
}

#[test]
fn what_the_specification_forbids_is_refused() {
    for text in [
        "",
        "00",
        // Version ff; a version that is no hex.
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        // Ids of zero.
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        // Capital letters.
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0A",
        // Longer or shorter than version 00 is.
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes-later",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 ",
        " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01x",
        // Other separators, other digits.
        "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473é00f067aa0ba902b7-01-",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-\r\n",
        "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ] {
        assert!(text.parse::<TraceParent>().is_err(), "{text:?}");
        assert_eq!(TraceParent::read(text), None, "{text:?}");
    }
}

#[test]
fn a_later_version_is_read_from_strangers_only() {
    let expected: TraceParent = EXAMPLE.parse().unwrap();
    for text in [
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "fe-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-will-be-like",
    ] {
        assert!(text.parse::<TraceParent>().is_err(), "{text:?}");
        assert_eq!(TraceParent::read(text), Some(expected), "{text:?}");
    }
    let run_on = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what";
    assert_eq!(TraceParent::read(run_on), None);
}

#[test]
fn a_random_source_that_gives_zeros_makes_a_valid_trace() {
    let root = TraceParent::root([0; 24], false);
    assert_eq!(root.to_string().parse(), Ok(root));
    assert_eq!(root.child([0; 8]).to_string().parse(), Ok(root.child([0; 8])));
}

#[test]
fn the_parent_is_found_among_the_members() {
    let parent = Some([0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
    for text in [
        "tpro=p:00f067aa0ba902b7",
        "congo=t61rcWkgMzE,tpro=p:00f067aa0ba902b7",
        "congo=t61rcWkgMzE ,\ttpro=p:00f067aa0ba902b7 , rojo=00f067aa0ba902b7",
        ",,tpro=p:00f067aa0ba902b7,",
    ] {
        assert_eq!(parent_in_tracestate(text), parent, "{text:?}");
        assert!(tracestate::is_valid(text), "{text:?}");
    }
    for text in [
        "",
        "tpro",
        "tpro=",
        "tpro=p:",
        "tpro=p:00f067aa0ba902b",
        "tpro=p:00f067aa0ba902b7f",
        "tpro=p:00F067AA0BA902B7",
        "tpro=p:0000000000000000",
        "xtpro=p:00f067aa0ba902b7",
        "a=tpro=p:00f067aa0ba902b7",
    ] {
        assert_eq!(parent_in_tracestate(text), None, "{text:?}");
    }
}

#[test]
fn our_member_is_taken_out_and_the_others_stay() {
    assert_eq!(tracestate_without_parent("tpro=p:00f067aa0ba902b7"), None);
    assert_eq!(tracestate_without_parent(""), None);
    assert_eq!(
        tracestate_without_parent("congo=a, tpro=p:00f067aa0ba902b7 ,rojo=b").as_deref(),
        Some("congo=a,rojo=b")
    );
}

#[test]
fn tracestate_follows_the_grammar() {
    let members = |count: usize| (0..count).map(|i| format!("k{i}=v")).collect::<Vec<_>>().join(",");
    for text in ["", "a=b", "a=b c", "fw529a3039@dt=FfsM", "0tenant@dt=1", "a*/-_0=!\"#~", &members(32)] {
        assert!(tracestate::is_valid(text), "{text:?}");
    }
    let long_key = format!("{}=v", "k".repeat(257));
    let long_value = format!("k={}", "v".repeat(257));
    let long_list = format!("a={0},b={0}", "v".repeat(256));
    for text in [
        "a",
        "=",
        "a=",
        "=b",
        "A=b",
        "1=b",
        "a=b=c",
        "a@=b",
        "@a=b",
        "a@1=b",
        "a@b@c=d",
        "a=b\r\nX: y",
        "a=\u{e9}",
        "a b=c",
        "a=\t1",
        &members(33),
        &long_key,
        &long_value,
        &long_list,
    ] {
        assert!(!tracestate::is_valid(text), "{text:?}");
    }
}

proptest! {
    #[test]
    fn text_comes_back(parent in traceparent()) {
        let text = parent.to_string();
        prop_assert_eq!(text.len(), 55);
        prop_assert_eq!(text.parse(), Ok(parent));
        prop_assert_eq!(TraceParent::read(&text), Some(parent));
        prop_assert!(text.contains(&parent.trace_id_hex()) && text.contains(&parent.span_id_hex()));
    }

    #[test]
    fn a_child_is_in_the_same_trace(parent in traceparent(), span_id in any::<[u8; 8]>()) {
        let child = parent.child(span_id);
        prop_assert_eq!(child.trace_id, parent.trace_id);
        prop_assert_eq!(child.sampled(), parent.sampled());
        prop_assert!(child.flags <= 1);
        prop_assert_eq!(child.to_string().parse(), Ok(child));
    }

    #[test]
    fn what_is_read_is_what_stood_there(bytes in mutated(traceparent().prop_map(|parent| parent.to_string()))) {
        if let Ok(text) = str::from_utf8(&bytes) {
            if let Ok(parent) = text.parse::<TraceParent>() {
                prop_assert_eq!(parent.to_string(), text);
            }
            if let Some(parent) = TraceParent::read(text) {
                prop_assert_eq!(&parent.to_string()[3..53], &text[3..53]);
            }
        }
    }

    #[test]
    fn the_parent_comes_back(span_id in any::<[u8; 8]>(), others in "[a-z]{1,5}=[a-z]{1,5}") {
        prop_assume!(span_id != [0; 8] && !others.starts_with("tpro="));
        let alone = tracestate_with_parent(span_id);
        let text = format!("{others},{alone}");
        prop_assert!(tracestate::is_valid(&text));
        prop_assert_eq!(parent_in_tracestate(&alone), Some(span_id));
        prop_assert_eq!(parent_in_tracestate(&text), Some(span_id));
        prop_assert_eq!(tracestate_without_parent(&text), Some(others));
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>(), long in "\\PC{40,80}") {
        for text in [&text, &long] {
            let _ = text.parse::<TraceParent>();
            let _ = TraceParent::read(text);
            let _ = parent_in_tracestate(text);
            let _ = tracestate_without_parent(text);
            let _ = tracestate::is_valid(text);
        }
    }
}
