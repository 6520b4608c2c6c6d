//! Does a series grow? The rule by which a soak fails.
//!
//! Samples are cut into blocks of a minute, and of each only the median counts: memory moves in
//! steps and jumps back, and samples that follow each other within seconds say one thing twice.
//! With fewer than 20 blocks nothing is said of a slope. With 20 or more a series **grows** if,
//! each with the confidence of [`slope()`],
//!
//! 1. the slope of its later half is more than 1 (MB, file, thread, task) an hour: a series that
//!    came to rest early does not count;
//! 2. the slope of the whole is more than 0: a jump near the end that comes back is none;
//! 3. its later half gains more by each doubling of time than its earlier half. Memory comes to
//!    rest by the logarithm of time: the higher a high-water mark is, the less often it is passed,
//!    so each doubling gains about the same, and for hours that is more than 1 MB an hour. A leak
//!    gains with time itself: twice as much in twice the time.
//!
//! A series **does not grow** if its later half surely gains no more than 1 an hour, and else the
//! run cannot tell. With this confidence a run of forty series without growth fails less often than
//! once in twenty. In noise of 0.1 MB it finds 15 MB an hour in half an hour, 2 in an hour and 1.2
//! in two; in noise of 0.5 MB 10 in an hour and 2 in two. The copies that carry the load have more
//! noise than that, so that only a night says something of 1 MB an hour.
//!
//! A shorter run fails only by gross growth: more than a bound per minute, in both halves, each of
//! which is half a minute at least. No plateau does that, see [`crate::gauge::Measure::gross`].

use std::fmt;

use crate::slope::{Sample, Slope, median, medians, slope};

/// Hours of a block.
pub const BLOCK: f64 = 60.0 / 3600.0;
/// Blocks for a verdict.
const ENOUGH: usize = 20;
/// The growth in an hour that is allowed.
const PER_HOUR: f64 = 1.0;
/// The least minutes that half of a look is taken for, so that a step in a few seconds is not many
/// a minute.
const HALF_LEAST: f64 = 0.5;

/// The verdict on a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// Its later half has this slope, and the rule is met.
    Grows(Slope),
    /// Its later half has this slope, surely no more than may be.
    Rests(Slope),
    /// Neither is sure.
    Unsure(Slope),
    /// Too short for a slope, and yet it surely grows.
    Gross,
    /// Too short for a slope.
    Short,
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (slope, word) = match self {
            Self::Grows(slope) => (slope, "GROWS"),
            Self::Rests(slope) => (slope, "does not grow"),
            Self::Unsure(slope) => (slope, "no growth is sure, nor that there is none"),
            Self::Gross => return write!(out, "GROWS GROSSLY"),
            Self::Short => return write!(out, "too short to judge a slope; 1,800 s or more judge it"),
        };
        write!(out, "later half {:+.2}/h ({:+.2} to {:+.2}): {word}", slope.guess, slope.low, slope.high)
    }
}

/// Judges the samples of a series, whose times count from the begin of the load; `gross` is its
/// bound per minute.
pub fn judge(samples: &[Sample], gross: f64) -> Verdict {
    let points = medians(samples, BLOCK);
    if points.len() < ENOUGH {
        return if is_gross(samples, gross) { Verdict::Gross } else { Verdict::Short };
    }
    let (earlier, later) = points.split_at(points.len() / 2);
    let (Some(whole), Some(half)) = (slope(&points), slope(later)) else { return Verdict::Short };
    if half.high <= PER_HOUR {
        return Verdict::Rests(half);
    }
    if half.low > PER_HOUR && whole.low > 0.0 && outruns_logarithm(earlier, later) {
        return Verdict::Grows(half);
    }
    Verdict::Unsure(half)
}

/// True if the later half surely gains more with the logarithm of time than the earlier one. The
/// limit of the difference of two slopes comes from theirs: Zou, Donner, "Construction of
/// confidence limits about effect measures", 2008.
fn outruns_logarithm(earlier: &[Sample], later: &[Sample]) -> bool {
    let by_logarithm =
        |half: &[Sample]| slope(&half.iter().map(|(at, value)| (at.ln(), *value)).collect::<Vec<_>>());
    let (Some(before), Some(after)) = (by_logarithm(earlier), by_logarithm(later)) else { return false };
    after.guess - before.guess > (after.guess - after.low).hypot(before.high - before.guess)
}

/// True if both halves gain more than the bound per minute, from the median of their first third to
/// that of their last.
fn is_gross(samples: &[Sample], bound: f64) -> bool {
    let gain = |half: &[Sample]| {
        let third = half.len() / 3;
        let middle = |some: &[Sample]| median(some.iter().map(|sample| sample.1).collect());
        // From the middle of the first third to the middle of the last are two thirds of the time.
        (middle(&half[half.len() - third..]) - middle(&half[..third])) * 1.5
    };
    let (earlier, later) = samples.split_at(samples.len() / 2);
    [earlier, later].iter().all(|half| {
        let (Some(first), Some(last)) = (half.first(), half.last()) else { return false };
        let minutes = ((last.0 - first.0) * 60.0).max(HALF_LEAST);
        half.len() >= 6 && gain(half) > bound * minutes
    })
}

#[cfg(test)]
mod tests;
