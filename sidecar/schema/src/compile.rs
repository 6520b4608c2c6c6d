//! From the text of a schema to its nodes.

use std::collections::HashMap;

use serde_json::{Map, Number, Value};

use crate::{
    MAX_DEPTH, MAX_NODES, MAX_SCHEMA, SchemaError,
    kinds::Kinds,
    node::{ArrayRules, Bounds, Node, NodeId, NumberRules, ObjectRules, Permitted},
    reference,
};

/// The longest list of permitted values that is told, in bytes.
const MAX_LIST: usize = 100;
/// The bytes of permitted values that are compared in the time of a step.
const BYTES_A_STEP: usize = 16;
/// The most bytes of the places of all schemas.
const MAX_PLACES: usize = 1024 * 1024;
/// Earlier drafts, in which nothing beside a `$ref` counts.
const ALONE: [&str; 3] = ["draft-04", "draft-06", "draft-07"];

/// All schemas of a document; the first one is the document itself.
pub fn nodes(document: &Value) -> Result<Vec<Node>, SchemaError> {
    let text = document.to_string();
    if text.len() > MAX_SCHEMA {
        return Err(SchemaError::TooLarge(text.len()));
    }
    if text.contains("\\u0000") {
        return Err(SchemaError::Nul);
    }
    let draft = document.get("$schema").and_then(Value::as_str).unwrap_or_default();
    let mut compiler = Compiler {
        document,
        refs_alone: ALONE.iter().any(|name| draft.contains(name)),
        // An `$id` further down gives the references below it another base.
        refs_lead_here: !has_inner_id(document),
        nodes: Vec::new(),
        places: HashMap::new(),
        bytes: 0,
    };
    compiler.add(document, "", 0)?;
    Ok(compiler.nodes)
}

struct Compiler<'d> {
    document: &'d Value,
    refs_alone: bool,
    refs_lead_here: bool,
    nodes: Vec<Node>,
    /// The schemas that are there, by their pointers.
    places: HashMap<String, NodeId>,
    /// The bytes of these.
    bytes: usize,
}

impl Compiler<'_> {
    /// Adds a schema, unless it is there.
    fn add(&mut self, schema: &Value, place: &str, depth: usize) -> Result<NodeId, SchemaError> {
        if let Some(id) = self.places.get(place) {
            return Ok(*id);
        }
        if depth > MAX_DEPTH {
            return Err(SchemaError::TooDeep);
        }
        let id = self.nodes.len();
        self.bytes += place.len();
        if id >= MAX_NODES || self.bytes > MAX_PLACES {
            return Err(SchemaError::TooMany);
        }
        self.nodes.push(Node::default());
        self.places.insert(place.to_owned(), id);
        self.nodes[id] = match schema {
            Value::Bool(permits) => Node { never: !permits, ..Node::default() },
            Value::Object(keywords) => self.node(keywords, place, depth + 1)?,
            _ => return Err(SchemaError::NotASchema(place.to_owned())),
        };
        Ok(id)
    }

    fn node(
        &mut self,
        keywords: &Map<String, Value>,
        place: &str,
        depth: usize,
    ) -> Result<Node, SchemaError> {
        let wrong = |keyword, expected| SchemaError::Keyword { keyword, place: place.to_owned(), expected };
        let mut node = Node::default();
        if let Some(reference) = keywords.get("$ref") {
            let reference = reference.as_str().ok_or_else(|| wrong("$ref", "a text"))?;
            node.reference = self.referred(reference, depth)?;
            if self.refs_alone {
                return Ok(node);
            }
        }
        if let Some(kinds) = keywords.get("type") {
            let expected = "the name of a kind of JSON values, or an array of them";
            node.kinds = Some(Kinds::of(kinds).ok_or_else(|| wrong("type", expected))?);
        }
        if let Some(values) = keywords.get("enum") {
            let values = values.as_array().ok_or_else(|| wrong("enum", "an array"))?;
            node.permitted.push(permitted(values.clone()));
        }
        if let Some(value) = keywords.get("const") {
            node.permitted.push(permitted(vec![value.clone()]));
        }
        for keyword in ["anyOf", "oneOf"] {
            let branches = self.list(keywords, keyword, place, depth)?;
            if !branches.is_empty() {
                node.any.push(branches);
            }
        }
        node.all = self.list(keywords, "allOf", place, depth)?;
        node.object = self.object(keywords, place, depth)?;
        node.array = self.array(keywords, place, depth)?;
        node.length = bounds(keywords, place, "minLength", "maxLength")?;
        node.number = numbers(keywords, place)?;
        Ok(node)
    }

    /// The schema of a reference. None if it leads elsewhere, or to nothing.
    fn referred(&mut self, reference: &str, depth: usize) -> Result<Option<NodeId>, SchemaError> {
        let Some(pointer) = reference::pointer(reference).filter(|_| self.refs_lead_here) else {
            return Ok(None);
        };
        let document = self.document;
        match document.pointer(&pointer) {
            Some(schema) => self.add(schema, &pointer, depth).map(Some),
            None => Ok(None),
        }
    }

    fn object(
        &mut self,
        keywords: &Map<String, Value>,
        place: &str,
        depth: usize,
    ) -> Result<ObjectRules, SchemaError> {
        let wrong = |keyword, expected| SchemaError::Keyword { keyword, place: place.to_owned(), expected };
        let mut rules = ObjectRules::default();
        if let Some(properties) = keywords.get("properties") {
            let properties = properties.as_object().ok_or_else(|| wrong("properties", "an object"))?;
            for (name, schema) in properties {
                let below = format!("{place}/properties/{}", reference::token(name));
                rules.properties.insert(name.clone(), self.add(schema, &below, depth)?);
            }
        }
        if let Some(required) = keywords.get("required").filter(|required| !required.is_boolean()) {
            let names = required.as_array().and_then(|names| {
                names.iter().map(|name| name.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
            });
            rules.required = names.ok_or_else(|| wrong("required", "an array of texts"))?;
        }
        // Names that match a pattern are not additional, and patterns are not known here.
        if !keywords.contains_key("patternProperties") {
            rules.additional = self.below(keywords, "additionalProperties", place, depth)?;
        }
        rules.size = bounds(keywords, place, "minProperties", "maxProperties")?;
        Ok(rules)
    }

    fn array(
        &mut self,
        keywords: &Map<String, Value>,
        place: &str,
        depth: usize,
    ) -> Result<ArrayRules, SchemaError> {
        let mut rules = ArrayRules {
            first: self.list(keywords, "prefixItems", place, depth)?,
            size: bounds(keywords, place, "minItems", "maxItems")?,
            ..ArrayRules::default()
        };
        match keywords.get("items") {
            // The form of earlier drafts.
            Some(Value::Array(_)) => rules.first = self.list(keywords, "items", place, depth)?,
            _ => rules.rest = self.below(keywords, "items", place, depth)?,
        }
        Ok(rules)
    }

    /// The schema of a keyword.
    fn below(
        &mut self,
        keywords: &Map<String, Value>,
        keyword: &'static str,
        place: &str,
        depth: usize,
    ) -> Result<Option<NodeId>, SchemaError> {
        let Some(schema) = keywords.get(keyword) else { return Ok(None) };
        self.add(schema, &format!("{place}/{keyword}"), depth).map(Some)
    }

    /// The schemas of a keyword that has an array of them.
    fn list(
        &mut self,
        keywords: &Map<String, Value>,
        keyword: &'static str,
        place: &str,
        depth: usize,
    ) -> Result<Vec<NodeId>, SchemaError> {
        let Some(schemas) = keywords.get(keyword) else { return Ok(Vec::new()) };
        let expected = "an array of schemas";
        let wrong = || SchemaError::Keyword { keyword, place: place.to_owned(), expected };
        let schemas = schemas.as_array().ok_or_else(wrong)?;
        let add = |(number, schema)| self.add(schema, &format!("{place}/{keyword}/{number}"), depth);
        schemas.iter().enumerate().map(add).collect()
    }
}

fn permitted(values: Vec<Value>) -> Permitted {
    let list = values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
    let words = match values.as_slice() {
        _ if list.len() > MAX_LIST => format!("must be one of {} values", values.len()),
        [_] => format!("must be {list}"),
        _ => format!("must be one of {list}"),
    };
    Permitted { weight: values.len() + list.len() / BYTES_A_STEP, values, words }
}

fn bounds(
    keywords: &Map<String, Value>,
    place: &str,
    least: &'static str,
    most: &'static str,
) -> Result<Bounds, SchemaError> {
    let bound = |keyword: &'static str| {
        let Some(value) = keywords.get(keyword) else { return Ok(None) };
        let whole = value.as_u64().or_else(|| {
            let float = value.as_f64().filter(|float| float.fract() == 0.0 && *float >= 0.0)?;
            Some(float as u64)
        });
        let expected = "a whole number from 0 on";
        whole.map(Some).ok_or_else(|| SchemaError::Keyword { keyword, place: place.to_owned(), expected })
    };
    Ok(Bounds { least: bound(least)?, most: bound(most)? })
}

fn numbers(keywords: &Map<String, Value>, place: &str) -> Result<NumberRules, SchemaError> {
    let bound = |keyword: &'static str| match keywords.get(keyword) {
        None => Ok(None),
        Some(Value::Number(number)) => Ok(Some(number.clone())),
        // The form of draft 4; then the other keyword permits a little more than the schema.
        Some(Value::Bool(_)) => Ok(None::<Number>),
        Some(_) => Err(SchemaError::Keyword { keyword, place: place.to_owned(), expected: "a number" }),
    };
    Ok(NumberRules {
        minimum: bound("minimum")?,
        maximum: bound("maximum")?,
        above: bound("exclusiveMinimum")?,
        below: bound("exclusiveMaximum")?,
    })
}

/// True if a schema below the first one has a name of its own. It looks at all objects, so that a
/// value which only looks like a schema makes references permit everything.
fn has_inner_id(document: &Value) -> bool {
    let mut rest: Vec<&Value> = match document {
        Value::Object(members) => members.values().collect(),
        _ => Vec::new(),
    };
    while let Some(value) = rest.pop() {
        match value {
            Value::Object(members) => {
                if members.get("$id").is_some_and(Value::is_string) {
                    return true;
                }
                rest.extend(members.values());
            }
            Value::Array(elements) => rest.extend(elements),
            _ => {}
        }
    }
    false
}
