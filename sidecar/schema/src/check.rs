//! The check of a body against a schema.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use crate::{
    MAX_DEPTH, MAX_PROBLEMS, MAX_STEPS, Problem, Verdict, branches, equal,
    node::{Node, NodeId, NumberRules},
    number,
    path::Path,
};

/// The longest list of permitted values that is told, in bytes.
const MAX_VALUES: usize = 100;

/// Asks if a body fits the first of the schemas.
pub fn check(nodes: &[Node], body: &Value) -> Verdict {
    let mut check = Check { nodes, steps: 0, problems: Vec::new() };
    match check.value(0, body, Path::Body, 0) {
        Err(Bound) => Verdict::Unknown,
        Ok(()) if check.problems.is_empty() => Verdict::Fits,
        Ok(()) => Verdict::Misfits(check.problems),
    }
}

/// True if the first of the schemas says that the value is no array.
pub fn takes_no_array(nodes: &[Node]) -> bool {
    let kinds = |node: &Node| node.kinds;
    let first = nodes.first();
    let referred = first.and_then(|node| nodes.get(node.reference?));
    [first, referred]
        .into_iter()
        .flatten()
        .filter_map(kinds)
        .any(|kinds| !kinds.has(&Value::Array(Vec::new())))
}

/// A bound was reached.
pub struct Bound;

/// A check under way.
pub struct Check<'s> {
    pub nodes: &'s [Node],
    steps: usize,
    pub problems: Vec<Problem>,
}

impl Check<'_> {
    /// Checks a value against a schema, and adds its problems.
    pub fn value(&mut self, id: NodeId, value: &Value, path: Path<'_>, depth: usize) -> Result<(), Bound> {
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
            self.add(path, format!("must be {}", kinds.words()));
            // What else is said of it is of another kind of values.
            return Ok(());
        }
        if let Some(values) = &node.values {
            self.step(values.len())?;
            if !values.iter().any(|permitted| equal::are_equal(permitted, value)) {
                self.add(path, permitted(values));
            }
        }
        if let Some(id) = node.reference {
            self.value(id, value, path, depth + 1)?;
        }
        for id in &node.all {
            self.value(*id, value, path, depth + 1)?;
        }
        for any in &node.any {
            branches::check(self, any, value, path, depth + 1)?;
        }
        match value {
            Value::Object(members) => self.object(node, members, path, depth),
            Value::Array(elements) => self.array(node, elements, path, depth),
            Value::String(text) => {
                self.size(path, node.length.problem(length(text), "characters"));
                Ok(())
            }
            Value::Number(number) => {
                self.size(path, number_problem(&node.number, number));
                Ok(())
            }
            Value::Null | Value::Bool(_) => Ok(()),
        }
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
    pub fn add(&mut self, path: Path<'_>, text: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.tell(Problem { path: path.text(), text });
        }
    }

    /// Adds a problem, if there are not enough of them and it is not among them.
    pub fn tell(&mut self, problem: Problem) {
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

/// The sentence about a value that is not among those of the schema. These are the schema's own.
fn permitted(values: &[Value]) -> String {
    let list = values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
    match values {
        _ if list.len() > MAX_VALUES => format!("must be one of {} values", values.len()),
        [_] => format!("must be {list}"),
        _ => format!("must be one of {list}"),
    }
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
