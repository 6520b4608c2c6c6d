//! A schema with its rules.

use std::collections::BTreeMap;

use serde_json::{Number, Value};

use crate::kinds::Kinds;

/// The number of a schema among all of its document.
pub type NodeId = usize;

/// A schema. All of its rules must hold, and one without rules permits everything.
#[derive(Debug, Default)]
pub struct Node {
    /// True for the schema `false`, which no value fits.
    pub never: bool,
    pub kinds: Option<Kinds>,
    /// `enum` and `const`, each of which must hold.
    pub permitted: Vec<Permitted>,
    pub reference: Option<NodeId>,
    /// `allOf`.
    pub all: Vec<NodeId>,
    /// Each `anyOf` or `oneOf`: at least one of them must hold.
    pub any: Vec<Vec<NodeId>>,
    pub object: ObjectRules,
    pub array: ArrayRules,
    pub length: Bounds,
    pub number: NumberRules,
}

/// The values of `enum`, or the one of `const`.
#[derive(Debug)]
pub struct Permitted {
    pub values: Vec<Value>,
    /// The values in a sentence, for one that is not among them.
    pub words: String,
    /// The steps of a comparison with all of them.
    pub weight: usize,
}

/// The rules for an object.
#[derive(Debug, Default)]
pub struct ObjectRules {
    pub properties: BTreeMap<String, NodeId>,
    pub required: Vec<String>,
    /// `additionalProperties`, if no `patternProperties` is beside it.
    pub additional: Option<NodeId>,
    pub size: Bounds,
}

/// The rules for an array.
#[derive(Debug, Default)]
pub struct ArrayRules {
    /// `prefixItems`.
    pub first: Vec<NodeId>,
    /// `items`: of those after the first.
    pub rest: Option<NodeId>,
    pub size: Bounds,
}

/// Bounds of a size.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    pub least: Option<u64>,
    pub most: Option<u64>,
}

/// The rules for a number.
#[derive(Debug, Default)]
pub struct NumberRules {
    pub minimum: Option<Number>,
    pub maximum: Option<Number>,
    pub above: Option<Number>,
    pub below: Option<Number>,
}

impl Bounds {
    /// True if there is no bound.
    pub fn is_empty(self) -> bool {
        self.least.is_none() && self.most.is_none()
    }

    /// The sentence about a size that is out of bounds; `unit` is as `characters`.
    pub fn problem(self, size: usize, unit: &str) -> Option<String> {
        let size = size as u64;
        match (self.least, self.most) {
            (Some(least), _) if size < least => Some(format!("must have at least {least} {unit}")),
            (_, Some(most)) if size > most => Some(format!("must have at most {most} {unit}")),
            _ => None,
        }
    }
}
