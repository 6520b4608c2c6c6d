//! The share of the whole that one lane may have.

/// A lane may always hold so much, however much the others hold: messages, and bytes of bodies.
pub const OWN_SHARE: usize = 16;
pub const OWN_BYTES: usize = 64 << 10;

/// The part of the whole that a lane may hold.
#[derive(Clone, Copy)]
pub struct Share {
    /// Messages that are free in total.
    pub free: usize,
    /// Messages it may hold even so.
    pub own: usize,
    /// Messages a lane may hold at most, with those at its reply handlers.
    pub lane: usize,
    /// Bytes that are free in total.
    pub free_bytes: usize,
    /// Nobody holds any bytes.
    pub idle: bool,
    /// Rows per read.
    pub page: usize,
}

impl Share {
    /// Bytes it may hold even so.
    pub fn own_bytes(&self) -> usize {
        if self.own > 0 { OWN_BYTES } else { 0 }
    }
}
