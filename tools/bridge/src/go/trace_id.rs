//! The header `trace-id`, in the form of the Jaeger client: `<trace>:<span>:<parent>:<flags>`.

use tpro_wire::TraceParent;

/// Reads a trace. A trace id has up to 32 hex digits, a span id up to 16; leading zeros may be left
/// out.
pub fn read_trace_id(text: &str) -> Option<TraceParent> {
    let mut parts = text.split(':');
    let (Some(trace), Some(span), Some(_parent), Some(flags), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let sampled = u8::from_str_radix(flags, 16).ok()? & 1;
    // The numbers have no sign and no blank, which from_str_radix would take.
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    if !digits(trace) || !digits(span) {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok()?;
    let span = u64::from_str_radix(span, 16).ok()?;
    format!("00-{trace:032x}-{span:016x}-{sampled:02x}").parse().ok()
}

/// Writes a trace, with all digits.
pub fn write_trace_id(trace: &TraceParent) -> String {
    let flag = u8::from(trace.sampled());
    format!("{}:{}:0000000000000000:{flag}", trace.trace_id_hex(), trace.span_id_hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_of_64_bits_is_filled_up_and_one_of_128_comes_back() {
        let read = read_trace_id("5b1f0c2d3e4f5061:5b1f0c2d3e4f5061:0000000000000000:1").expect("a trace");
        assert_eq!(read.to_string(), "00-00000000000000005b1f0c2d3e4f5061-5b1f0c2d3e4f5061-01");
        let short = read_trace_id("1f:a:0:0").expect("a trace");
        assert_eq!(short.to_string(), "00-0000000000000000000000000000001f-000000000000000a-00");
        let ours: TraceParent =
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().expect("a traceparent");
        let text = write_trace_id(&ours);
        assert_eq!(text, "4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0000000000000000:1");
        assert_eq!(read_trace_id(&text), Some(ours));
    }

    #[test]
    fn a_text_of_another_form_is_no_trace() {
        for text in ["", "1:2:3", "1:2:3:4:5", "0:0:0:1", "+1:2:0:1", "x:2:0:1", "1:0:0:1", "1:2:0:zz"] {
            assert_eq!(read_trace_id(text), None, "{text}");
        }
    }
}
