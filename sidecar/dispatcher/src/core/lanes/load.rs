//! The load of all lanes together, and its bounds.

use tpro_runtime::plant;

use crate::core::lane::{OWN_SHARE, Share, smoothed};

/// The bounds of all lanes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Messages in flight per lane.
    pub lane: usize,
    /// Messages in flight, and outcomes not yet written, in total.
    pub total: usize,
    /// Bytes of bodies and of results not yet written, in total.
    pub bytes: usize,
    /// Rows per read.
    pub page: usize,
}

/// The sums over all lanes.
pub struct Load {
    bounds: Bounds,
    flying: usize,
    handling: usize,
    settling: usize,
    bytes: usize,
    /// The mean size of all bodies, lately.
    mean: usize,
}

impl Load {
    pub fn new(mut bounds: Bounds) -> Self {
        if plant::is_planted("lane without a bound") {
            bounds.lane = usize::MAX;
        }
        Self { bounds, flying: 0, handling: 0, settling: 0, bytes: 0, mean: 0 }
    }

    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Messages that await a reply.
    pub fn flying(&self) -> usize {
        self.flying
    }

    /// The rows to read at a time: the page, unless bodies have been so large lately that it
    /// would not fit.
    pub fn page(&self) -> usize {
        (self.free_bytes() / self.mean.max(1)).clamp(1, self.bounds.page)
    }

    /// True if so many outcomes are to be written that sending more makes no sense.
    pub fn is_choked(&self) -> bool {
        self.settling >= self.bounds.total / 2
    }

    /// The share of one lane in all that.
    pub fn share(&self) -> Share {
        Share {
            free: self.bounds.total.saturating_sub(self.flying + self.handling + self.settling),
            own: if self.is_choked() { 0 } else { OWN_SHARE },
            lane: self.bounds.lane,
            free_bytes: self.free_bytes(),
            idle: self.bytes == 0,
            page: self.bounds.page,
        }
    }

    /// Bytes that may still be taken up.
    fn free_bytes(&self) -> usize {
        self.bounds.bytes.saturating_sub(self.bytes)
    }

    /// A body of this size has come.
    pub fn note(&mut self, bytes: usize) {
        self.mean = smoothed(self.mean, bytes);
    }

    /// A message of this size flies.
    pub fn take_off(&mut self, bytes: usize) {
        self.flying += 1;
        self.bytes += bytes;
    }

    /// A flying message was refused or put off.
    pub fn refuse(&mut self) {
        self.flying -= 1;
    }

    /// A message that was refused or put off flies again.
    pub fn try_again(&mut self) {
        self.flying += 1;
    }

    /// A message of this size has its outcome of so many bytes. It flew, or waited for another
    /// try.
    pub fn land(&mut self, bytes: usize, flew: bool, outcome: usize) {
        self.flying -= usize::from(flew);
        self.bytes = self.bytes - bytes + outcome;
        self.settling += 1;
    }

    /// An outcome that never flew is to be written.
    pub fn settle_unsent(&mut self, outcome: usize) {
        self.bytes += outcome;
        self.settling += 1;
    }

    /// An outcome goes to its reply handler first.
    pub fn begin_handling(&mut self) {
        self.handling += 1;
        self.settling -= 1;
    }

    /// The reply handler of an outcome is done; it is to be written, or is.
    pub fn handled(&mut self) {
        self.handling -= 1;
        self.settling += 1;
    }

    /// Outcomes are written.
    pub fn settled(&mut self, count: usize, bytes: usize) {
        self.settling -= count;
        self.bytes -= bytes;
    }

    /// Flying, at reply handlers, to be written; and the bytes.
    #[cfg(test)]
    pub fn sums(&self) -> [usize; 4] {
        [self.flying, self.handling, self.settling, self.bytes]
    }
}
