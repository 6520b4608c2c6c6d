//! The choice of the traces that are kept.

use tpro_wire::trace::TraceParent;

use crate::config::Sampling;

/// Decides as configured: a share of new traces, and perhaps by a caller's decision.
///
/// The share is taken from the trace id, as the OpenTelemetry SDKs do it (TraceIdRatioBased), so
/// that every service decides alike about a trace.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sampler(pub(super) Sampling);

impl Sampler {
    /// True if a trace that begins here is kept.
    pub fn keeps_root(&self, trace_id: &[u8; 16]) -> bool {
        if self.0.ratio >= 1.0 {
            return true;
        }
        // 63 bits of the lower half of the id, compared with the share: exactly what
        // opentelemetry_sdk computes.
        let mut low = [0u8; 8];
        low.copy_from_slice(&trace_id[8..]);
        let bound = (self.0.ratio.max(0.0) * (1u64 << 63) as f64) as u64;
        (u64::from_be_bytes(low) >> 1) < bound
    }

    /// True if a span below this one is kept.
    pub fn keeps_child(&self, parent: &TraceParent) -> bool {
        if self.0.parent_based { parent.sampled() } else { self.keeps_root(&parent.trace_id) }
    }
}
