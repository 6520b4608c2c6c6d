//! `anyOf`, and `oneOf` as far as it says the same: one of several schemas must hold.

use std::mem;

use serde_json::Value;

use crate::{
    Problem,
    check::{Bound, Check},
    node::NodeId,
    path::Path,
};

/// Checks a value against several schemas. If it fits none, and is of the kind of one of them only,
/// the problems with that one are told: an optional object is `anyOf` the object and null.
pub fn check(
    check: &mut Check<'_>,
    any: &[NodeId],
    value: &Value,
    path: Path<'_>,
    depth: usize,
) -> Result<(), Bound> {
    let before = mem::take(&mut check.problems);
    let mut here = None;
    let mut near: Vec<Vec<Problem>> = Vec::new();
    let mut words: Vec<String> = Vec::new();
    for id in any {
        check.value(*id, value, path, depth)?;
        let problems = mem::take(&mut check.problems);
        if problems.is_empty() {
            check.problems = before;
            return Ok(());
        }
        let here = here.get_or_insert_with(|| path.text());
        match problems.as_slice() {
            [Problem { path, text }] if path == here => {
                words.extend(text.strip_prefix("must be ").map(str::to_owned));
            }
            _ => near.push(problems),
        }
    }
    check.problems = before;
    let text = match near.as_mut_slice() {
        [problems] => {
            for problem in mem::take(problems) {
                check.tell(problem);
            }
            return Ok(());
        }
        [] if words.len() == any.len() => format!("must be {}", words.join(" or ")),
        _ => format!("fits none of its {} forms", any.len()),
    };
    check.add(path, text);
    Ok(())
}
