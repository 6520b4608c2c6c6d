//! Values for the properties, and what several of them look at.

use proptest::prelude::*;
use tpro_wire::{ServiceName, Target, TraceParent, Uid};
use uuid::Uuid;

/// A space or a service, by the grammar.
pub fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_]{0,39}"
}

/// An entity or a method name, by the grammar.
pub fn word() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_-]{1,100}"
}

/// A service that is not reserved.
pub fn service() -> impl Strategy<Value = ServiceName> {
    name().prop_filter_map("reserved", |text| ServiceName::parse(&text).ok())
}

pub fn target() -> impl Strategy<Value = Target> {
    (name(), name(), word(), word()).prop_map(|(a, b, c, d)| Target::new(&a, &b, &c, &d).unwrap())
}

pub fn uid() -> impl Strategy<Value = Uid> {
    (0u64..1 << 48, any::<[u8; 10]>()).prop_map(|(ms, random)| Uid::v7(ms, random))
}

pub fn uuid() -> impl Strategy<Value = Uuid> {
    any::<[u8; 16]>().prop_map(Uuid::from_bytes)
}

pub fn traceparent() -> impl Strategy<Value = TraceParent> {
    (any::<[u8; 24]>(), any::<u8>())
        .prop_map(|(random, flags)| TraceParent { flags, ..TraceParent::root(random, false) })
}

/// JSON text of some depth, with all kinds of values, numbers that no double holds among them.
pub fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?(e-?[0-9]{1,6})?",
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        let member = (any::<String>(), inner.clone())
            .prop_map(|(key, value)| format!("{}: {value}", serde_json::to_string(&key).unwrap()));
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

/// JSON text that JSON-RPC takes as `params`.
pub fn params() -> impl Strategy<Value = String> {
    json().prop_map(|json| if json.starts_with(['{', '[']) { json } else { format!("[{json}]") })
}

/// What somebody would send who wants to break out of a token: dots, wildcards, spaces, line breaks, others' letters.
pub const HOSTILE: &[&str] = &[
    "",
    " ",
    ".",
    "a.b",
    "a.",
    ".a",
    "*",
    ">",
    "a*",
    "a>",
    "a b",
    "a\tb",
    "a\nb",
    "a\r\nPUB x 1\r\n",
    "a\r",
    "\0",
    "a\0",
    "$SYS",
    "é",
    "а",
    "a\u{200b}",
    "a/b",
    "a\"b",
    "a'b",
    "a\\b",
    "a;b",
    "a,b",
    "a=b",
    "a%b",
    "a{b",
];

/// One byte of a text changed, taken away, or put in.
pub fn mutated(text: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    (text, any::<prop::sample::Index>(), any::<u8>(), 0..3u8).prop_map(|(text, at, byte, how)| {
        let mut bytes = text.into_bytes();
        match how {
            0 if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            1 if !bytes.is_empty() => {
                bytes.remove(at.index(bytes.len()));
            }
            _ => bytes.insert(at.index(bytes.len() + 1), byte),
        }
        bytes
    })
}
