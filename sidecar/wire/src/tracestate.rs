//! The list that participants of a trace pass on beside its `traceparent`: W3C Trace Context, level
//! 1, section 3.3.

use crate::hex::{hex, take_hex};
use crate::limits::MAX_TRACESTATE;

/// The member of `tracestate` that is tpro's own.
const MEMBER: &str = "tpro=p:";

/// The parent span in a `tracestate`, if tpro's member `tpro=p:<16 hex>` is in the list.
///
/// By this member a row names the parent of its own span, which is minted in SQL.
pub fn parent_in_tracestate(tracestate: &str) -> Option<[u8; 8]> {
    let value = members(tracestate).find_map(|member| member.strip_prefix(MEMBER))?;
    let mut span_id = [0; 8];
    take_hex(value.as_bytes(), &mut span_id)?;
    (span_id != [0; 8]).then_some(span_id)
}

/// A `tracestate` with the parent span alone.
pub fn tracestate_with_parent(span_id: [u8; 8]) -> String {
    let mut text = String::with_capacity(MEMBER.len() + 16);
    text.push_str(MEMBER);
    text.push_str(&hex(&span_id));
    text
}

/// The `tracestate` without tpro's own member, which only the sidecar that sends the row needs.
/// `None` if nothing is left.
pub fn tracestate_without_parent(tracestate: &str) -> Option<String> {
    let mut rest = String::new();
    for member in members(tracestate).filter(|member| !member.starts_with("tpro=")) {
        if !rest.is_empty() {
            rest.push(',');
        }
        rest.push_str(member);
    }
    (!rest.is_empty()).then_some(rest)
}

/// True if the text is a `tracestate` by the grammar of level 1, section 3.3: at most 32 members
/// `key=value`, at most 512 bytes. A key that comes twice is not looked for.
pub fn is_valid(text: &str) -> bool {
    text.len() <= MAX_TRACESTATE
        && members(text).count() <= 32
        && members(text)
            .all(|member| member.split_once('=').is_some_and(|(key, value)| is_key(key) && is_value(value)))
}

/// The members of the list; empty ones are allowed, and skipped.
fn members(tracestate: &str) -> impl Iterator<Item = &str> {
    tracestate.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty())
}

fn is_key(key: &str) -> bool {
    let plain = |part: &str, max: usize| {
        (1..=max).contains(&part.len())
            && part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/'))
    };
    let letter_first = |part: &str| part.starts_with(|c: char| c.is_ascii_lowercase());
    match key.split_once('@') {
        None => plain(key, 256) && letter_first(key),
        Some((tenant, system)) => {
            plain(tenant, 241)
                && tenant.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                && plain(system, 14)
                && letter_first(system)
        }
    }
}

fn is_value(value: &str) -> bool {
    (1..=256).contains(&value.len())
        && value.bytes().all(|b| matches!(b, b' '..=b'~') && b != b',' && b != b'=')
}
