//! The check of a body against a schema.

use std::{cmp::Ordering, mem};

use serde_json::{Map, Number, Value};

use crate::{
    MAX_DEPTH, MAX_PROBLEMS, MAX_STEPS, Problem, Verdict, equal,
    node::{Node, NodeId, NumberRules},
    number,
    path::Path,
};

/// The bytes of a text that are counted in the time of a step.
const BYTES_A_STEP: usize = 64;

/// Asks if bodies fit the first of the schemas, within the bounds of one check. The problems are
/// those of the first that does not, with its number.
pub fn check<'b>(nodes: &[Node], bodies: impl Iterator<Item = &'b Value>) -> (usize, Verdict) {
    let mut check = Check { nodes, steps: 0, problems: Vec::new() };
    for (number, body) in bodies.enumerate() {
        match check.value(0, body, Path::Body, 0) {
            Err(Bound) => return (number, Verdict::Unknown),
            Ok(()) if check.problems.is_empty() => {}
            Ok(()) => return (number, Verdict::Misfits(check.problems)),
        }
    }
    (0, Verdict::Fits)
}

/// A bound was reached, or nobody knows.
struct Bound;

/// A check under way.
struct Check<'s> {
    nodes: &'s [Node],
    steps: usize,
    problems: Vec<Problem>,
}

impl Check<'_> {
    /// Checks a value against a schema, and adds its problems.
    fn value(&mut self, id: NodeId, value: &Value, path: Path<'_>, depth: usize) -> Result<(), Bound> {
        self.step(1)?;
        if depth > MAX_DEPTH {
            return Err(Bound);
        }
        let Some(node) = self.nodes.get(id) else { return Ok(()) };
        if node.never {
            self.add(path, "is not permitted".to_owned());
            return Ok(());
        }
        if let Some(kinds) = node.kinds.filter(|kinds| !kinds.has(value)) {
            // A type that has its members by name takes them by position, too.
            if value.is_array() && kinds.has_objects() {
                return Err(Bound);
            }
            self.add(path, format!("must be {}", kinds.words()));
            // All else that is said of it is of other kinds.
            return Ok(());
        }
        for permitted in &node.permitted {
            self.step(permitted.weight)?;
            if !permitted.values.iter().any(|permitted| equal::are_equal(permitted, value)) {
                self.add(path, permitted.words.clone());
            }
        }
        if let Some(id) = node.reference {
            self.value(id, value, path, depth + 1)?;
        }
        for id in &node.all {
            self.value(*id, value, path, depth + 1)?;
        }
        for any in &node.any {
            self.any(any, value, path, depth + 1)?;
        }
        match value {
            Value::Object(members) => self.object(node, members, path, depth),
            Value::Array(elements) => self.array(node, elements, path, depth),
            Value::String(text) => {
                if !node.length.is_empty() {
                    self.step(text.len() / BYTES_A_STEP)?;
                    self.size(path, node.length.problem(length(text), "characters"));
                }
                Ok(())
            }
            Value::Number(number) => {
                self.size(path, number_problem(&node.number, number));
                Ok(())
            }
            Value::Null | Value::Bool(_) => Ok(()),
        }
    }

    /// Checks a value against several schemas, one of which must hold. If it fits none, and is of
    /// the kind of one of them only, the problems with that one are told: an optional object is
    /// `anyOf` the object and null.
    fn any(&mut self, any: &[NodeId], value: &Value, path: Path<'_>, depth: usize) -> Result<(), Bound> {
        let before = mem::take(&mut self.problems);
        let mut here = None;
        let mut near: Vec<Vec<Problem>> = Vec::new();
        let mut words: Vec<String> = Vec::new();
        for id in any {
            self.value(*id, value, path, depth)?;
            let problems = mem::take(&mut self.problems);
            if problems.is_empty() {
                self.problems = before;
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
        self.problems = before;
        let text = match near.as_mut_slice() {
            [problems] => {
                for problem in mem::take(problems) {
                    self.tell(problem);
                }
                return Ok(());
            }
            [] if words.len() == any.len() => format!("must be {}", words.join(" or ")),
            _ => format!("fits none of its {} forms", any.len()),
        };
        self.add(path, text);
        Ok(())
    }

    fn object(
        &mut self,
        node: &Node,
        members: &Map<String, Value>,
        path: Path<'_>,
        depth: usize,
    ) -> Result<(), Bound> {
        let rules = &node.object;
        self.step(rules.required.len())?;
        for name in rules.required.iter().filter(|name| !members.contains_key(*name)) {
            self.add(Path::Member(&path, name), "is missing".to_owned());
        }
        self.size(path, rules.size.problem(members.len(), "members"));
        if rules.properties.is_empty() && rules.additional.is_none() {
            return Ok(());
        }
        self.step(members.len())?;
        for (name, value) in members {
            let Some(id) = rules.properties.get(name).copied().or(rules.additional) else { continue };
            let below = Path::Member(&path, name);
            if self.nodes.get(id).is_some_and(|node| node.never) {
                self.add(below, "is unknown".to_owned());
            } else {
                self.value(id, value, below, depth + 1)?;
            }
        }
        Ok(())
    }

    fn array(&mut self, node: &Node, elements: &[Value], path: Path<'_>, depth: usize) -> Result<(), Bound> {
        let rules = &node.array;
        self.size(path, rules.size.problem(elements.len(), "elements"));
        for (number, value) in elements.iter().enumerate() {
            let Some(id) = rules.first.get(number).copied().or(rules.rest) else { break };
            self.value(id, value, Path::Element(&path, number), depth + 1)?;
        }
        Ok(())
    }

    fn size(&mut self, path: Path<'_>, problem: Option<String>) {
        if let Some(text) = problem {
            self.add(path, text);
        }
    }

    /// Adds a problem, if there are not enough of them.
    fn add(&mut self, path: Path<'_>, text: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.tell(Problem { path: path.text(), text });
        }
    }

    /// Adds a problem, if there are not enough of them and it is not among them.
    fn tell(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn step(&mut self, steps: usize) -> Result<(), Bound> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_STEPS { Err(Bound) } else { Ok(()) }
    }
}

/// The length of a text as JSON Schema counts it, in Unicode's code points.
fn length(text: &str) -> usize {
    text.chars().count()
}

fn number_problem(rules: &NumberRules, given: &Number) -> Option<String> {
    // A float that seems to be equal to a bound may lie on either side of it.
    let beyond = |bound: &Option<Number>, side: Ordering, or_equal: bool, words: &str| {
        let bound = bound.as_ref()?;
        let order = number::compare(given, bound)?;
        let is_equal = or_equal && order == Ordering::Equal && number::are_exact(given, bound);
        (order == side || is_equal).then(|| format!("must be {words} {bound}"))
    };
    beyond(&rules.minimum, Ordering::Less, false, "at least")
        .or_else(|| beyond(&rules.maximum, Ordering::Greater, false, "at most"))
        .or_else(|| beyond(&rules.above, Ordering::Less, true, "greater than"))
        .or_else(|| beyond(&rules.below, Ordering::Greater, true, "less than"))
}
