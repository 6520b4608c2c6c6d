//! The trace a message belongs to: W3C Trace Context, level 1.

use std::fmt;
use std::str::FromStr;

use crate::hex::{hex, put_hex, take_hex};
pub use crate::tracestate::{parent_in_tracestate, tracestate_with_parent, tracestate_without_parent};

/// Length of a `traceparent` of version 00.
pub const TEXT_LEN: usize = 55;

/// The one flag of level 1: the caller may have recorded this trace.
const SAMPLED: u8 = 0x01;

/// A `traceparent`: `00-<trace id, 32 hex>-<span id, 16 hex>-<flags, 2 hex>`.
///
/// Neither id is zero when it was parsed or made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// The trace; the same in every span of it.
    pub trace_id: [u8; 16],
    /// The span that is the parent of what comes next.
    pub span_id: [u8; 8],
    /// The flags; bit 0 says sampled, the others are reserved.
    pub flags: u8,
}

/// The reason why a text is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a traceparent is 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, in small letters, neither id zero"
)]
pub struct TraceParentError;

impl TraceParent {
    /// The beginning of a trace, from random bytes: 16 for the trace, 8 for the span.
    ///
    /// Ids of zero are invalid; zero bytes are taken as one, so that a broken random source breaks
    /// no trace.
    pub fn root(random: [u8; 24], sampled: bool) -> Self {
        let (mut trace_id, mut span_id) = ([0; 16], [0; 8]);
        trace_id.copy_from_slice(&random[..16]);
        span_id.copy_from_slice(&random[16..]);
        if trace_id == [0; 16] {
            trace_id[15] = 1;
        }
        Self { trace_id, span_id: nonzero(span_id), flags: u8::from(sampled) }
    }

    /// A child span in this trace. Flags that level 1 does not know become zero, as level 1 asks.
    pub fn child(&self, span_id: [u8; 8]) -> Self {
        Self { trace_id: self.trace_id, span_id: nonzero(span_id), flags: self.flags & SAMPLED }
    }

    /// Reads the header of a stranger: version 00 strictly, a later version as far as level 1 knows
    /// it.
    ///
    /// The specification (section 4.3, "Versioning of traceparent") asks to take the ids and the
    /// sampled flag of a later version if they stand where version 00 has them, and if a dash comes
    /// next, or nothing.
    pub fn read(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (head, tail) = (bytes.get(..TEXT_LEN)?, &bytes[TEXT_LEN..]);
        let (version, parsed) = parse(head.try_into().ok()?)?;
        match version {
            0 => tail.is_empty().then_some(parsed),
            _ => tail
                .first()
                .is_none_or(|b| *b == b'-')
                .then_some(Self { flags: parsed.flags & SAMPLED, ..parsed }),
        }
    }

    /// True if the caller may have recorded this trace.
    pub fn sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The trace id as 32 hex digits, as trace viewers take it.
    pub fn trace_id_hex(&self) -> String {
        hex(&self.trace_id)
    }

    /// The span id as 16 hex digits.
    pub fn span_id_hex(&self) -> String {
        hex(&self.span_id)
    }

    /// Writes the text form into a buffer of the caller's.
    pub fn encode<'b>(&self, buffer: &'b mut [u8; TEXT_LEN]) -> &'b str {
        *buffer = [b'-'; TEXT_LEN];
        buffer[..2].copy_from_slice(b"00");
        put_hex(&self.trace_id, &mut buffer[3..35]);
        put_hex(&self.span_id, &mut buffer[36..52]);
        put_hex(&[self.flags], &mut buffer[53..]);
        str::from_utf8(buffer).unwrap_or_default()
    }
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    /// Strict: version 00, 55 characters, small letters, no zero ids.
    fn from_str(text: &str) -> Result<Self, TraceParentError> {
        let bytes = text.as_bytes().try_into().map_err(|_| TraceParentError)?;
        match parse(bytes) {
            Some((0, parsed)) => Ok(parsed),
            _ => Err(TraceParentError),
        }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.encode(&mut [0; TEXT_LEN]))
    }
}

/// Version and content of a `traceparent`; version ff is forbidden.
fn parse(text: &[u8; TEXT_LEN]) -> Option<(u8, TraceParent)> {
    if text[2] != b'-' || text[35] != b'-' || text[52] != b'-' {
        return None;
    }
    let mut version = [0];
    let mut flags = [0];
    let mut parsed = TraceParent { trace_id: [0; 16], span_id: [0; 8], flags: 0 };
    take_hex(&text[..2], &mut version)?;
    take_hex(&text[3..35], &mut parsed.trace_id)?;
    take_hex(&text[36..52], &mut parsed.span_id)?;
    take_hex(&text[53..], &mut flags)?;
    parsed.flags = flags[0];
    let valid = version != [0xff] && parsed.trace_id != [0; 16] && parsed.span_id != [0; 8];
    valid.then_some((version[0], parsed))
}

fn nonzero(span_id: [u8; 8]) -> [u8; 8] {
    if span_id == [0; 8] { [0, 0, 0, 0, 0, 0, 0, 1] } else { span_id }
}
