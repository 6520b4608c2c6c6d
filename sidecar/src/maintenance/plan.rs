//! Which ranges are to be made, from those that are there. No IO.

use super::range::{MAX, Range};

/// A range that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub range: Range,
    /// Nothing visible is in it. Only asked of what is not behind us.
    pub empty: bool,
}

/// What is to be made of what is there. The ranges always cover everything from the first to MAXVALUE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Empty ranges that go.
    pub replace: Vec<Range>,
    /// What the overflow range becomes, since it has rows.
    pub fill: Option<Range>,
    /// Ranges that come.
    pub new: Vec<Range>,
    /// Where the overflow range begins then.
    pub rest: i64,
}

/// How wide, how many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    /// Keys in a range.
    pub width: i64,
    /// Ranges that are made ahead; more are made when fewer than half of them are left.
    pub ahead: usize,
    /// What an overflow range that has rows gets beyond what it has: it must not fill up before it is put right.
    pub margin: i64,
}

/// What is to be made, so that there are ranges of this width ahead of `next`, the first key that is not given out yet.
/// The parts are in order, and the last is the overflow range.
pub(super) fn ahead(parts: &[Part], next: i64, measure: Measure) -> Option<Plan> {
    let Measure { width, ahead, margin } = measure;
    let (rest, parts) = parts.split_last()?;
    if next > rest.range.low {
        let fill = Range::new(rest.range.low, aligned(next.saturating_add(margin), width));
        let (new, rest) = ranges(fill.high, fill.high, next, measure, 0);
        return Some(Plan { fill: Some(fill), new, rest, ..Plan::default() });
    }
    let wrong =
        |part: &Part| part.empty && part.range.high > next && part.range.high - part.range.low != width;
    if let Some(first) = parts.iter().position(wrong) {
        let replace: Vec<Range> = parts[first..].iter().map(|part| part.range).collect();
        let kept = parts[..first].iter().filter(|part| part.range.low >= next).count();
        let (new, rest) = ranges(replace[0].low, replace[0].low.max(next), next, measure, kept);
        // What is there already may be all that is wanted, but for the range that is cut short or long to fit.
        return (new != replace).then_some(Plan { replace, fill: None, new, rest });
    }
    let there = parts.iter().filter(|part| part.range.low >= next).count();
    if there >= ahead.div_ceil(2) {
        return None;
    }
    let (new, rest) = ranges(rest.range.low, rest.range.low, next, measure, there);
    Some(Plan { new, rest, ..Plan::default() })
}

/// What is to be made of the parts of a table, so that its ranges are those of the table it belongs to.
///
/// A part that has rows stays as it is, be it wider than the other's: it was to follow and could not before it was used. It goes
/// when all that it covers has gone there, and what comes after it follows.
pub(super) fn follow(parts: &[Part], leader: &[Range]) -> Option<Plan> {
    let (rest, parts) = parts.split_last()?;
    let used = parts.iter().filter(|part| !part.empty).map(|part| part.range.high).max().unwrap_or(i64::MIN);
    let wanted: Vec<Range> = leader
        .iter()
        .filter(|range| !range.is_rest() && range.high > used)
        .map(|range| Range::new(range.low.max(used), range.high))
        .collect();
    let from = wanted.iter().find(|range| parts.iter().all(|part| part.range != **range))?.low;
    let mut plan = Plan {
        replace: parts.iter().map(|part| part.range).filter(|range| range.high > from).collect(),
        new: wanted.into_iter().filter(|range| range.low >= from).collect(),
        rest: leader.last()?.low,
        fill: None,
    };
    if !rest.empty {
        let at = plan.new.iter().position(|range| range.low == rest.range.low)?;
        plan.fill = Some(plan.new.remove(at));
    }
    Some(plan)
}

/// Ranges that begin at `low`, the first of them reaching beyond `from`, until `ahead` of them (with those that are there)
/// lie beyond `next`; and where the last ends.
fn ranges(low: i64, from: i64, next: i64, measure: Measure, there: usize) -> (Vec<Range>, i64) {
    let (mut ranges, mut low, mut high) = (Vec::new(), low, aligned(from, measure.width));
    let mut beyond = there;
    while beyond < measure.ahead && high < MAX {
        ranges.push(Range::new(low, high));
        beyond += usize::from(low >= next);
        (low, high) = (high, aligned(high, measure.width));
    }
    (ranges, low)
}

/// The next multiple of the width.
fn aligned(after: i64, width: i64) -> i64 {
    (after / width).saturating_add(1).saturating_mul(width)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FOUR: Measure = Measure { width: 1_000, ahead: 4, margin: 8_000 };

    fn parts(bounds: &[i64], next: i64) -> Vec<Part> {
        let ranges = bounds.windows(2).map(|pair| Range::new(pair[0], pair[1]));
        ranges.map(|range| Part { range, empty: range.low >= next }).collect()
    }

    /// The bounds after the plan.
    fn after(before: &[Part], plan: &Plan) -> Vec<Range> {
        let kept = before.iter().map(|part| part.range).filter(|range| !range.is_rest());
        let mut ranges: Vec<Range> = kept.filter(|range| !plan.replace.contains(range)).collect();
        ranges.extend(plan.fill);
        ranges.extend(&plan.new);
        ranges.push(Range::new(plan.rest, MAX));
        ranges.sort();
        ranges
    }

    #[test]
    fn ranges_are_made_when_fewer_than_half_are_left() {
        let there = [0, 1_000, 2_000, 3_000, 4_000, MAX];
        assert_eq!(ahead(&parts(&there, 1_500), 1_500, FOUR), None);
        let plan = ahead(&parts(&there, 2_500), 2_500, FOUR).expect("one is left");
        assert_eq!(plan.new, [Range::new(4_000, 5_000), Range::new(5_000, 6_000), Range::new(6_000, 7_000)]);
        assert_eq!((plan.rest, plan.fill, plan.replace), (7_000, None, vec![]));
    }

    #[test]
    fn ranges_of_another_width_are_replaced_while_they_are_empty() {
        let there = [0, 1_000_000, 2_000_000, MAX];
        let mut fresh = parts(&there, 1);
        fresh[0].empty = true;
        let plan = ahead(&fresh, 1, FOUR).expect("they are too wide");
        assert_eq!(plan.replace.len(), 2);
        assert_eq!(plan.new.first(), Some(&Range::new(0, 1_000)));
        assert_eq!((plan.new.len(), plan.rest), (5, 5_000));
        // The first is in use: it stays as it is.
        let plan = ahead(&parts(&there, 500), 500, FOUR).expect("the second is too wide");
        assert_eq!(
            (plan.replace, plan.new[0]),
            (vec![Range::new(1_000_000, 2_000_000)], Range::new(1_000_000, 1_001_000))
        );
    }

    #[test]
    fn an_overflow_range_with_rows_becomes_a_range_like_others() {
        let plan = ahead(&parts(&[0, 1_000, MAX], 5_300), 5_300, FOUR).expect("it is used");
        assert_eq!(plan.fill, Some(Range::new(1_000, 14_000)));
        assert_eq!((plan.new.len(), plan.rest), (4, 18_000));
        let leader =
            [Range::new(0, 1_000), plan.fill.unwrap(), Range::new(14_000, 15_000), Range::new(15_000, MAX)];
        let follower = follow(&parts(&[0, 1_000, MAX], 0), &leader).expect("it is behind");
        assert_eq!((follower.fill, follower.new.len()), (None, 2), "nobody has replied yet");
        let follower = follow(&parts(&[0, 1_000, MAX], 5_300), &leader).expect("it is behind");
        assert_eq!((follower.fill, follower.new), (plan.fill, vec![Range::new(14_000, 15_000)]));
    }

    #[test]
    fn a_range_that_was_used_before_it_could_follow_stays_and_the_next_follow() {
        // The outbox has got smaller ranges, and the replies were written to before they did.
        let replies = |next| {
            let mut parts = parts(&[0, 10_000, 20_000, MAX], next);
            parts[0].empty = false;
            parts
        };
        let outbox = |from: i64, to: i64| -> Vec<Range> {
            let ranges = (from..to).map(|n| Range::new(n * 1_000, (n + 1) * 1_000));
            ranges.chain([Range::new(to * 1_000, MAX)]).collect()
        };
        assert_eq!(follow(&replies(1), &outbox(0, 5)), None, "what is used cannot be cut");
        let plan = follow(&replies(1), &outbox(7, 12)).expect("beyond it there is something to follow");
        assert_eq!(plan.replace, [Range::new(10_000, 20_000)]);
        assert_eq!(plan.new, [Range::new(10_000, 11_000), Range::new(11_000, 12_000)]);
        // Where the bounds do not meet, the first is cut short, once.
        let odd = [Range::new(9_500, 10_500), Range::new(10_500, 11_500), Range::new(11_500, MAX)];
        let before = replies(1);
        let plan = follow(&before, &odd).expect("it is behind");
        assert_eq!(plan.new, [Range::new(10_000, 10_500), Range::new(10_500, 11_500)]);
        let mut made: Vec<Part> =
            after(&before, &plan).into_iter().map(|range| Part { range, empty: true }).collect();
        made[0].empty = false;
        assert_eq!(follow(&made, &odd), None);
    }

    proptest! {
        #[test]
        fn a_plan_leaves_no_gap_and_is_the_last(widths in proptest::collection::vec(1i64..5_000, 0..6), next in 1i64..20_000) {
            let mut bounds = vec![0];
            for width in widths {
                bounds.push(bounds[bounds.len() - 1] + width);
            }
            bounds.push(MAX);
            let before = parts(&bounds, next);
            if let Some(plan) = ahead(&before, next, FOUR) {
                let ranges = after(&before, &plan);
                prop_assert_eq!((ranges[0].low, ranges[ranges.len() - 1].high), (0, MAX));
                prop_assert!(ranges.windows(2).all(|pair| pair[0].high == pair[1].low), "{ranges:?}");
                let made: Vec<Part> = ranges.iter().map(|range| Part { range: *range, empty: range.low >= next }).collect();
                prop_assert_eq!(ahead(&made, next, FOUR), None);
                let follower = follow(&before, &ranges).expect("it is behind");
                let mut followed = after(&before, &follower);
                followed.retain(|range| range.high > plan.new.first().map_or(0, |range| range.low));
                prop_assert!(followed.iter().all(|range| ranges.contains(range)), "{followed:?}");
            }
        }
    }
}
